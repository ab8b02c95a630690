-- One recipient, kept from other changes until the transaction ends.
SELECT id, channel, address, product_category, region, impact_level, digest
FROM recipient WHERE id = :id AND active FOR UPDATE
