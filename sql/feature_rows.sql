-- The rows of demand_features of some categories and regions; an empty list means all.
SELECT *
FROM demand_features
WHERE (CAST(:categories AS text[]) = '{}' OR product_category = ANY(CAST(:categories AS text[])))
  AND (CAST(:regions AS text[]) = '{}' OR region = ANY(CAST(:regions AS text[])))
