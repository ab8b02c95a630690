-- The optional tables that have rows: first and last day, rows, distinct days.
SELECT 'market_factors' AS table_name, min(date_id) AS first_day, max(date_id) AS last_day, count(*) AS n_rows,
       count(DISTINCT date_id) AS days
FROM market_factors HAVING count(*) > 0
UNION ALL
SELECT 'inventory_daily', min(date_id), max(date_id), count(*), count(DISTINCT date_id)
FROM inventory_daily HAVING count(*) > 0
UNION ALL
SELECT 'plan_daily', min(date_id), max(date_id), count(*), count(DISTINCT date_id) FROM plan_daily HAVING count(*) > 0
UNION ALL
SELECT 'events', min(date_id), max(date_id), count(*), count(DISTINCT date_id) FROM events HAVING count(*) > 0
UNION ALL
SELECT 'purchase_orders', min(ordered_on), max(ordered_on), count(*), count(DISTINCT ordered_on)
FROM purchase_orders HAVING count(*) > 0
