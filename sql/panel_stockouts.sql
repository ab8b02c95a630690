-- Days on which a category was out of stock.
SELECT date_id, product_category, 1 AS stockout_flag
FROM inventory_daily
WHERE COALESCE(stockout_flag, stock_level <= 0)
