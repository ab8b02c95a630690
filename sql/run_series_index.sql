-- The series of a run with what the run knows of each.
SELECT s.id AS series_id, s.level, s.product_category, s.region, s.store, r.recent_units, r.unit_price,
       r.first_day, r.days_observed
FROM run_series r JOIN series s ON s.id = r.series_id
WHERE r.run_id = :run_id
ORDER BY array_position(ARRAY['total', 'region', 'store', 'category', 'category_region', 'category_store'], s.level),
         s.product_category, s.region, s.store
