-- How many categories, regions and stores a selection has at each level with categories.
SELECT s.level, count(DISTINCT s.product_category) AS categories, count(DISTINCT s.region) AS regions,
       count(DISTINCT s.store) AS stores
FROM run_series r JOIN series s ON s.id = r.series_id
WHERE r.run_id = :run_id AND s.level IN ('category', 'category_region', 'category_store')
  AND (CAST(:categories AS text[]) = '{}' OR s.product_category = ANY(:categories))
  AND (CAST(:regions AS text[]) = '{}' OR s.region = ANY(:regions) OR s.level = 'category')
  AND (CAST(:stores AS text[]) = '{}' OR s.store = ANY(:stores) OR s.level <> 'category_store')
GROUP BY s.level
