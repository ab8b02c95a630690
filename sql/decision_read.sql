-- One decision: what it was about, and which one replaced it.
SELECT d.id, d.run_id, d.product_category, d.region, later.id AS replaced_by
FROM decision d LEFT JOIN decision later ON later.replaces = d.id
WHERE d.id = :id
