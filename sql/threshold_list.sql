-- The figures people set for the detector, the broadest first: id, name, level, scope ('' = everything), value, reason,
-- set_by, set_at.
SELECT id, name, level, product_category, region, store, value, reason, set_by, set_at
FROM threshold
WHERE :id::integer IS NULL OR id = :id
ORDER BY name, array_position(ARRAY['', 'total', 'region', 'store', 'category', 'category_region', 'category_store'], level),
         product_category, region, store
