-- What the advice for one category was calculated from, and the errors its run learnt from.
SELECT a.inputs, a.parameters, l.days, l.pool, l.pool_weight
FROM stock_advice a JOIN stock_library l ON l.run_id = a.run_id
WHERE a.run_id = :run_id AND a.product_category = :product_category
