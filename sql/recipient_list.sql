-- Who gets alerts beside ALERT_RECIPIENTS, by address: id, channel, address, scope ('' = everything), impact_level (this
-- and above), digest, created_by, created_at.
SELECT id, channel, address, product_category, region, impact_level, digest, created_by, created_at
FROM recipient WHERE active
ORDER BY address, product_category, region, id
