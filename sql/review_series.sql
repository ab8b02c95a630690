-- The series a review stands on, with the last :back days of their :days days of sales: units and revenue as float32.
SELECT s.id AS series_id, s.product_category, s.region, s.store, r.unit_price, r.first_day, r.days_observed,
       substring(r.history FROM 4 * (:days - :back) + 1 FOR 4 * :back) AS units,
       substring(r.history FROM 4 * (octet_length(r.history) / 11 + :days - :back) + 1 FOR 4 * :back) AS revenue
FROM run_series r JOIN series s ON s.id = r.series_id
WHERE r.run_id = :run_id AND s.level = :level
  AND (CAST(:categories AS text[]) = '{}' OR s.product_category = ANY(:categories))
  AND (CAST(:regions AS text[]) = '{}' OR s.region = ANY(:regions))
  AND (CAST(:stores AS text[]) = '{}' OR s.store = ANY(:stores))
ORDER BY s.product_category, s.region, s.store
