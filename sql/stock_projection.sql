-- Stock expected at the end of each week for one category of a run.
SELECT week, receipts, q025, q10, q50, q90, q975, ordered_q50
FROM stock_projection
WHERE run_id = :run_id AND product_category = :product_category
ORDER BY week
