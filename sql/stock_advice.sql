-- The stock advice of a run, most money first; of some categories, or of all when none is named.
SELECT product_category, status, rank, money, order_quantity, order_by, sentence, tags, assumed, figures
FROM stock_advice
WHERE run_id = :run_id AND (cardinality(:categories::text[]) = 0 OR product_category = ANY(:categories))
ORDER BY rank
