-- What is planned per series and day.
SELECT date_id,
       product_category,
       region,
       store,
       promotion_flag::int AS promotion_flag,
       open_flag::int AS open_flag,
       unit_price
FROM plan_daily
