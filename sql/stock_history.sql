-- Stock and sales of one category by day between two days: a day that only one of them knows has nulls for the other.
WITH stock AS (
    SELECT date_id, stock_level, reorder_point, COALESCE(stockout_flag, stock_level <= 0, false) AS stockout
    FROM inventory_daily
    WHERE product_category = :product_category AND date_id BETWEEN :first AND :last
), sold AS (
    SELECT date_id, sum(sales_units) AS sold
    FROM sales_daily
    WHERE product_category = :product_category AND date_id BETWEEN :first AND :last
    GROUP BY date_id
)
SELECT date_id, stock_level, reorder_point, COALESCE(stockout, false) AS stockout, sold
FROM stock FULL JOIN sold USING (date_id)
ORDER BY date_id
