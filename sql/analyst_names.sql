-- The categories and regions that have sales, to tell a name that does not exist: name, kind.
SELECT DISTINCT s.product_category AS name, 'category' AS kind FROM sales_daily s
UNION ALL
SELECT DISTINCT s.region, 'region' FROM sales_daily s WHERE s.region <> ''
