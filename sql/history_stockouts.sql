-- Days on which some category of the selection was out of stock.
SELECT DISTINCT date_id FROM inventory_daily
WHERE stockout_flag AND (CAST(:categories AS text[]) = '{}' OR product_category = ANY(:categories))
  AND date_id BETWEEN :from_day AND :to_day
ORDER BY date_id
