-- The demand feature set as the view demand_features: one row per product_category, region and day with a record, over
-- the last two years of the data, ordered by category, region, day.
--
-- By date, not by row: sales_lag_7 is the units of the day seven days before, null when that day has no row, and a
-- window of seven days is seven days of the calendar, however many of them have a row. Stores of a region are summed
-- first, and each other table joins on its key, so no row comes twice. The specification's windows include the day
-- itself; the columns ending in _before are the same windows ending the day before, which is what a model may use.
--
-- rolling_std_14d: sample standard deviation, null below two days. week_over_week_change: (units - units seven days
-- before) / units seven days before, null when that was 0. is_weekend and major_holiday_flag: 0 or 1. seasonal_sin and
-- seasonal_cos: of 2 pi * day of year / 365.25. seasonal_events: as market_factors has it, else the names in events for
-- everywhere or the region. promotion_flag of a region with stores: whether any of them had one.
--
-- Category and region are what every window is partitioned by, so conditions on them reach the table's primary key.
DROP VIEW IF EXISTS demand_features;
CREATE VIEW demand_features AS
SELECT
    f.date_id,
    f.product_category,
    f.region,
    f.sales_units,
    f.sales_revenue,
    f.promotion_flag,
    f.sales_lag_1,
    f.sales_lag_7,
    f.sales_lag_14,
    f.rolling_avg_7d,
    f.rolling_avg_30d,
    f.rolling_std_14d,
    (f.sales_units - f.sales_lag_7) / nullif(f.sales_lag_7, 0) AS week_over_week_change,
    CASE WHEN extract(isodow FROM f.date_id) >= 6 THEN 1 ELSE 0 END AS is_weekend,
    CAST(extract(month FROM f.date_id) AS integer) AS month_num,
    CAST(extract(quarter FROM f.date_id) AS integer) AS quarter_num,
    m.economic_index,
    m.competitor_promotion_intensity,
    coalesce(m.seasonal_events, e.names) AS seasonal_events,
    m.social_media_mentions,
    i.stock_level,
    i.stockout_flag,
    sin(2 * pi() * extract(doy FROM f.date_id)::double precision / 365.25) AS seasonal_sin,
    cos(2 * pi() * extract(doy FROM f.date_id)::double precision / 365.25) AS seasonal_cos,
    CASE WHEN coalesce(m.seasonal_events, e.names) ~* 'christmas|black friday' THEN 1 ELSE 0 END AS major_holiday_flag,
    f.rolling_avg_7d_before,
    f.rolling_avg_30d_before,
    f.rolling_std_14d_before,
    (f.sales_lag_1 - f.sales_lag_8) / nullif(f.sales_lag_8, 0) AS week_over_week_change_before
FROM (
    SELECT
        d.date_id,
        d.product_category,
        d.region,
        d.sales_units,
        d.sales_revenue,
        d.promotion_flag,
        max(d.sales_units) OVER lag_1 AS sales_lag_1,
        max(d.sales_units) OVER lag_7 AS sales_lag_7,
        max(d.sales_units) OVER lag_8 AS sales_lag_8,
        max(d.sales_units) OVER lag_14 AS sales_lag_14,
        avg(d.sales_units) OVER days_7 AS rolling_avg_7d,
        avg(d.sales_units) OVER days_30 AS rolling_avg_30d,
        stddev_samp(d.sales_units) OVER days_14 AS rolling_std_14d,
        avg(d.sales_units) OVER days_7_before AS rolling_avg_7d_before,
        avg(d.sales_units) OVER days_30_before AS rolling_avg_30d_before,
        stddev_samp(d.sales_units) OVER days_14_before AS rolling_std_14d_before
    FROM (
        SELECT
            s.date_id,
            s.product_category,
            s.region,
            s.date_id - date '2000-01-01' AS day,  -- windows over numbers cost half of those over dates
            sum(s.sales_units) AS sales_units,
            sum(s.sales_revenue) AS sales_revenue,
            bool_or(s.promotion_flag) AS promotion_flag
        FROM sales_daily s
        -- The longest window looks 30 days back from the first day shown.
        WHERE s.date_id > (SELECT max(l.date_id) FROM sales_daily l) - interval '2 years 30 days'
        GROUP BY s.product_category, s.region, s.date_id
    ) d
    WINDOW
        series AS (PARTITION BY d.product_category, d.region ORDER BY d.day),
        lag_1 AS (series RANGE BETWEEN 1 PRECEDING AND 1 PRECEDING),
        lag_7 AS (series RANGE BETWEEN 7 PRECEDING AND 7 PRECEDING),
        lag_8 AS (series RANGE BETWEEN 8 PRECEDING AND 8 PRECEDING),
        lag_14 AS (series RANGE BETWEEN 14 PRECEDING AND 14 PRECEDING),
        days_7 AS (series RANGE BETWEEN 6 PRECEDING AND CURRENT ROW),
        days_30 AS (series RANGE BETWEEN 29 PRECEDING AND CURRENT ROW),
        days_14 AS (series RANGE BETWEEN 13 PRECEDING AND CURRENT ROW),
        days_7_before AS (series RANGE BETWEEN 7 PRECEDING AND 1 PRECEDING),
        days_30_before AS (series RANGE BETWEEN 30 PRECEDING AND 1 PRECEDING),
        days_14_before AS (series RANGE BETWEEN 14 PRECEDING AND 1 PRECEDING)
) f
LEFT JOIN market_factors m ON m.date_id = f.date_id
LEFT JOIN inventory_daily i ON i.product_category = f.product_category AND i.date_id = f.date_id
LEFT JOIN LATERAL (
    SELECT string_agg(DISTINCT v.event, ', ' ORDER BY v.event) AS names
    FROM events v
    WHERE v.date_id = f.date_id AND v.region IN ('', f.region)
) e ON true
WHERE f.date_id > (SELECT max(l.date_id) FROM sales_daily l) - interval '2 years'
ORDER BY f.product_category, f.region, f.date_id
