-- Rows and units per day of sales over the sixteen weeks up to the last day.
SELECT date_id AS day, count(*) AS rows, sum(sales_units) AS units
FROM sales_daily
WHERE date_id > (SELECT max(date_id) FROM sales_daily) - 112
GROUP BY date_id
ORDER BY date_id
