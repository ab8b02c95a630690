-- Every category, region and store that a series was ever forecast for.
SELECT DISTINCT name FROM series CROSS JOIN LATERAL (VALUES (product_category), (region), (store)) AS named (name)
WHERE name <> ''
