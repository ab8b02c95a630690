-- The sales of a window and its planned promotions, one row per bottom series, and the stock, one row per category, days
-- packed by binary send functions: read as one statement and without a row per day. detect_window.py knows the layout.
SELECT 'sales' AS what, product_category, region, store,
       string_agg(
           int4send((date_id - :first::date) * 16
                    + CASE promotion_flag WHEN true THEN 2 WHEN false THEN 1 ELSE 0 END
                    + CASE WHEN open_flag IS FALSE THEN 4 ELSE 0 END
                    + CASE WHEN batch_id > :seen THEN 8 ELSE 0 END)
           || float8send(sales_units)
           || float8send(coalesce(unit_price, sales_revenue / nullif(sales_units, 0), 'NaN')),
           ''::bytea) AS days,
       NULL::float8 AS lead_time
FROM sales_daily
WHERE date_id BETWEEN :first AND :last
GROUP BY product_category, region, store
UNION ALL
SELECT 'stock', product_category, '', '',
       string_agg(
           int4send((date_id - :first::date) * 16
                    + CASE WHEN coalesce(stockout_flag, stock_level <= 0) THEN 2 ELSE 1 END
                    + CASE WHEN batch_id > :seen THEN 8 ELSE 0 END)
           || float8send(coalesce(stock_level, 'NaN'))
           || float8send(coalesce(lead_time_days::float8, 'NaN')),
           ''::bytea),
       NULL
FROM inventory_daily
WHERE date_id BETWEEN :first AND :last
GROUP BY product_category
UNION ALL
SELECT 'plan', product_category, region, store,
       string_agg(int4send((date_id - :first::date) * 16 + CASE WHEN promotion_flag THEN 2 ELSE 1 END)
                  || float8send('NaN') || float8send('NaN'), ''::bytea),
       NULL
FROM plan_daily
WHERE date_id BETWEEN :first AND :last AND promotion_flag IS NOT NULL
GROUP BY product_category, region, store
