-- Day by day the sales of some categories and regions together (an empty list: all), with what surrounded them.
SELECT d.date_id, d.sales_units, d.sales_revenue, d.promotion_flag, m.economic_index, m.competitor_promotion_intensity,
       e.seasonal_events, m.social_media_mentions, i.stock_level, i.stockout_flag, i.reorder_point, i.lead_time_days
FROM (
    SELECT s.date_id, sum(s.sales_units) AS sales_units, sum(s.sales_revenue) AS sales_revenue,
           avg(coalesce(s.promotion_flag, false)::int::double precision) AS promotion_flag
    FROM sales_daily s
    WHERE (CAST(:categories AS text[]) = '{}' OR s.product_category = ANY(CAST(:categories AS text[])))
      AND (CAST(:regions AS text[]) = '{}' OR s.region = ANY(CAST(:regions AS text[])))
    GROUP BY s.date_id
) d
LEFT JOIN market_factors m ON m.date_id = d.date_id
LEFT JOIN (
    SELECT v.date_id, string_agg(DISTINCT v.event, ', ' ORDER BY v.event) AS seasonal_events
    FROM known_events v
    WHERE CAST(:regions AS text[]) = '{}' OR v.region = '' OR v.region = ANY(CAST(:regions AS text[]))
    GROUP BY v.date_id
) e ON e.date_id = d.date_id
LEFT JOIN (
    SELECT n.date_id, sum(n.stock_level) AS stock_level,
           bool_or(COALESCE(n.stockout_flag, n.stock_level <= 0)) AS stockout_flag,
           sum(n.reorder_point) AS reorder_point, max(n.lead_time_days) AS lead_time_days
    FROM inventory_daily n
    WHERE CAST(:categories AS text[]) = '{}' OR n.product_category = ANY(CAST(:categories AS text[]))
    GROUP BY n.date_id
) i ON i.date_id = d.date_id
ORDER BY d.date_id
