-- Stock by category and day as recorded up to a day, the newest 15 months of it.
SELECT date_id, product_category, stock_level, reorder_point, lead_time_days::double precision AS lead_time_days,
       COALESCE(stockout_flag, stock_level <= 0)::integer AS stockout
FROM inventory_daily
WHERE date_id <= :last_day AND date_id > :last_day::date - 450
ORDER BY product_category, date_id
