-- Share of category-days out of stock in the 13 weeks up to a day and in the 13 before them; null without records.
SELECT avg(COALESCE(stockout_flag, stock_level <= 0)::integer) FILTER (WHERE date_id > :last_day::date - 91) AS now,
       avg(COALESCE(stockout_flag, stock_level <= 0)::integer) FILTER (WHERE date_id <= :last_day::date - 91) AS before
FROM inventory_daily
WHERE date_id <= :last_day AND date_id > :last_day::date - 182
