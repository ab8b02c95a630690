-- Every sales row as the panel needs it: keys, units, what was recorded beside them, and the price (else revenue per unit).
SELECT date_id,
       product_category,
       region,
       store,
       sales_units,
       promotion_flag::int AS promotion_flag,
       open_flag::int AS open_flag,
       COALESCE(unit_price, sales_revenue / NULLIF(sales_units, 0)) AS unit_price
FROM sales_daily
