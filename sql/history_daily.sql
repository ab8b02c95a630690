-- Daily history of everything a selection covers, summed; empty lists mean all.
SELECT date_id, sum(sales_units) AS units, sum(sales_revenue) AS revenue,
       avg(CAST(promotion_flag AS int)) AS promotion, avg(CAST(coalesce(open_flag, true) AS int)) AS open
FROM sales_daily
WHERE (CAST(:categories AS text[]) = '{}' OR product_category = ANY(:categories))
  AND (CAST(:regions AS text[]) = '{}' OR region = ANY(:regions))
  AND (CAST(:stores AS text[]) = '{}' OR store = ANY(:stores))
  AND date_id BETWEEN :from_day AND :to_day
GROUP BY date_id ORDER BY date_id
