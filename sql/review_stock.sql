-- By whole week back from a day: days with and days of a stock-out, and the stock on its last day at today's unit cost.
SELECT (CAST(:last_day AS date) - i.date_id) / 7 AS weeks_ago,
       count(COALESCE(i.stockout_flag, i.stock_level <= 0)) AS days,
       count(*) FILTER (WHERE COALESCE(i.stockout_flag, i.stock_level <= 0)) AS stockouts,
       sum(greatest(i.stock_level, 0) * c.cost) FILTER (WHERE (CAST(:last_day AS date) - i.date_id) % 7 = 0) AS value
FROM inventory_daily i
LEFT JOIN unnest(CAST(:named AS text[]), CAST(:costs AS double precision[])) AS c (product_category, cost)
  ON c.product_category = i.product_category
WHERE i.date_id <= :last_day AND i.date_id > CAST(:last_day AS date) - :days
  AND (CAST(:categories AS text[]) = '{}' OR i.product_category = ANY(:categories))
GROUP BY 1 ORDER BY 1
