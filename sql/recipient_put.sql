-- Adds a recipient; its id, or no row when this address has this scope already. One that was removed is there again.
INSERT INTO recipient (channel, address, product_category, region, impact_level, digest, created_by, created_at)
VALUES (:channel, :address, :product_category, :region, :impact_level, :digest, :who, :now)
ON CONFLICT (channel, address, product_category, region) DO UPDATE
SET impact_level = excluded.impact_level, digest = excluded.digest, active = true
WHERE NOT recipient.active
RETURNING id
