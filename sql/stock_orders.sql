-- Purchase orders as they were known at the end of a day: what arrived later had not arrived yet.
SELECT product_category, quantity, ordered_on, due_on,
       CASE WHEN received_on <= :last_day THEN received_on END AS received_on,
       CASE WHEN received_on <= :last_day OR received_on IS NULL THEN received_quantity END AS received_quantity
FROM purchase_orders
WHERE (ordered_on IS NULL OR ordered_on <= :last_day)
  AND (received_on IS NULL OR received_on > :last_day::date - 730)
ORDER BY product_category
