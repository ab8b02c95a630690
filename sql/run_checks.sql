-- What is wrong with a run's rows; every column must be 0, except `forecast_rows`, `week_rows` and `days`.
WITH daily AS (
    SELECT count(*) AS forecast_rows, count(DISTINCT date_id) AS days,
           -- NaN sorts above infinity, so one comparison finds both.
           count(*) FILTER (WHERE NOT (mean < 'infinity' AND q025 < 'infinity' AND q975 < 'infinity')) AS not_finite,
           count(*) FILTER (WHERE mean < 0 OR q025 < 0) AS negative,
           count(*) FILTER (WHERE NOT (q025 <= q05 AND q05 <= q10 AND q10 <= q25 AND q25 <= q50 AND q50 <= q75
                                       AND q75 <= q90 AND q90 <= q95 AND q95 <= q975)) AS not_monotone
    FROM forecast WHERE run_id = :run_id
), weekly AS (
    SELECT count(*) AS week_rows,
           count(*) FILTER (WHERE NOT (mean < 'infinity' AND q975 < 'infinity' AND mean >= 0 AND q025 >= 0
                                       AND q025 <= q05 AND q05 <= q10 AND q10 <= q25 AND q25 <= q50 AND q50 <= q75
                                       AND q75 <= q90 AND q90 <= q95 AND q95 <= q975)) AS weeks_wrong
    FROM forecast_week WHERE run_id = :run_id
), sums AS MATERIALIZED (
    SELECT f.date_id, s.level, s.product_category AS category, s.region, sum(f.mean) AS total
    FROM forecast f JOIN series s ON s.id = f.series_id
    WHERE f.run_id = :run_id GROUP BY f.date_id, s.level, s.product_category, s.region
), parts AS (
    -- Every level against the total, and what lies below a region or a category against that.
    SELECT 'total' AS above, date_id, level, '' AS name, sum(total) AS total FROM sums GROUP BY date_id, level
    UNION ALL
    SELECT 'region', date_id, level, region, sum(total) FROM sums
    WHERE level IN ('store', 'category_region', 'category_store') GROUP BY date_id, level, region
    UNION ALL
    SELECT 'category', date_id, level, category, sum(total) FROM sums
    WHERE level IN ('category_region', 'category_store') GROUP BY date_id, level, category
), gaps AS (
    SELECT count(*) AS not_adding_up
    FROM parts JOIN sums whole ON whole.level = parts.above AND whole.date_id = parts.date_id
         AND CASE parts.above WHEN 'region' THEN whole.region WHEN 'category' THEN whole.category ELSE '' END = parts.name
    WHERE abs(parts.total - whole.total) > 1e-6 * greatest(1, whole.total)
), days_of_weeks AS (
    SELECT series_id, date_id - (extract(isodow FROM date_id)::int - 1) AS week, sum(mean) AS total, count(*) AS days
    FROM forecast WHERE run_id = :run_id GROUP BY 1, 2
), week_gaps AS (
    SELECT count(*) AS weeks_not_their_days
    FROM forecast_week w LEFT JOIN days_of_weeks d ON d.series_id = w.series_id AND d.week = w.week
    WHERE w.run_id = :run_id AND (d.days IS DISTINCT FROM 7 OR abs(w.mean - d.total) > 1e-6 * greatest(1, d.total))
)
SELECT * FROM daily, weekly, gaps, week_gaps
