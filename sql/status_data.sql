-- How much sales data there is, in one row.
SELECT count(*) AS rows, min(date_id) AS first_day, max(date_id) AS last_day,
       count(DISTINCT product_category) AS categories, count(DISTINCT region) FILTER (WHERE region <> '') AS regions,
       count(DISTINCT store) FILTER (WHERE store <> '') AS stores
FROM sales_daily
