-- The decisions that stand, newest first; of some categories, or of all when none is named.
SELECT d.id, d.decided_at, d.run_id, d.product_category, d.region,
       COALESCE(d.recommendation ->> 'sentence', '') AS sentence, d.decision, d.value, d.reason_code, d.reason, d.owner,
       d.due_on, d.status, COALESCE(d.outcome ->> 'sentence', '') AS outcome,
       (d.outcome ->> 'money')::double precision AS outcome_money, d.decided_by
FROM decision d
WHERE (cardinality(:categories::text[]) = 0 OR d.product_category = ANY(:categories))
  AND NOT EXISTS (SELECT FROM decision later WHERE later.replaces = d.id)
ORDER BY d.decided_at DESC, d.id DESC LIMIT :limit
