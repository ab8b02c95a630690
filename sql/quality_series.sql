-- Per series of sales_daily: first and last day, rows, rows of zero, closed and priced ones, and rows per ISO weekday.
SELECT product_category, region, store, min(date_id) AS first_day, max(date_id) AS last_day, count(*) AS n_rows,
       count(*) FILTER (WHERE sales_units = 0 AND open_flag IS NOT FALSE) AS zeros,
       count(*) FILTER (WHERE open_flag IS FALSE) AS closed,
       count(*) FILTER (WHERE unit_price > 0 OR sales_revenue > 0) AS priced,
       count(*) FILTER (WHERE sales_units > 0) AS sold,
       count(promotion_flag) AS promotion_known,
       sum(sales_units) AS units,
       ARRAY[count(*) FILTER (WHERE extract(isodow FROM date_id) = 1),
             count(*) FILTER (WHERE extract(isodow FROM date_id) = 2),
             count(*) FILTER (WHERE extract(isodow FROM date_id) = 3),
             count(*) FILTER (WHERE extract(isodow FROM date_id) = 4),
             count(*) FILTER (WHERE extract(isodow FROM date_id) = 5),
             count(*) FILTER (WHERE extract(isodow FROM date_id) = 6),
             count(*) FILTER (WHERE extract(isodow FROM date_id) = 7)] AS weekdays
FROM sales_daily GROUP BY product_category, region, store
ORDER BY product_category, region, store
