-- The decision that stands for one piece of advice: its newest, which no other replaced.
SELECT d.id
FROM decision d
WHERE d.run_id = :run_id AND d.product_category = :product_category AND d.region = :region
  AND NOT EXISTS (SELECT FROM decision later WHERE later.replaces = d.id)
ORDER BY d.id DESC LIMIT 1
