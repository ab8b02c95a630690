-- What stands decided on the advice of a run, for all regions together: product_category, decision.
SELECT d.product_category, d.decision
FROM decision d
WHERE d.run_id = :run_id AND d.region = ''
  AND NOT EXISTS (SELECT FROM decision later WHERE later.replaces = d.id)
ORDER BY d.id
