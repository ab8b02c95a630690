-- The decisions that stand and whose outcome is not known yet.
SELECT d.id, d.product_category, d.recommendation, d.decision, d.value, d.decided_at
FROM decision d
WHERE d.outcome IS NULL AND NOT EXISTS (SELECT FROM decision later WHERE later.replaces = d.id)
ORDER BY d.id
