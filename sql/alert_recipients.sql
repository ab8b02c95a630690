-- Who gets alerts beside ALERT_RECIPIENTS: channel, address, scope ('' = everything), impact_level and digest.
SELECT channel, address, product_category, region, impact_level, digest
FROM recipient WHERE active ORDER BY id
