-- The decisions that stand and whose outcome is not known yet, with the business date of the next one on the same
-- category.
SELECT d.id, d.product_category, d.recommendation, d.decision, d.value, d.decided_at,
       (SELECT min(COALESCE((n.recommendation ->> 'business_date')::date, (n.decided_at AT TIME ZONE 'UTC')::date))
        FROM decision n
        WHERE n.product_category = d.product_category AND n.region = d.region AND n.run_id <> d.run_id
          AND n.decided_at > d.decided_at
          AND NOT EXISTS (SELECT FROM decision later WHERE later.replaces = n.id)) AS next_on
FROM decision d
WHERE d.outcome IS NULL AND NOT EXISTS (SELECT FROM decision later WHERE later.replaces = d.id)
ORDER BY d.id
