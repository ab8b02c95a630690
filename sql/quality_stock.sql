-- Per category over its last 182 days with stock: days compared, and how often stock today is not stock yesterday - sales
-- + receipts (off by more than 5 % of a usual day and one unit), with stock counted in the evening or in the morning.
WITH day AS (
    SELECT i.product_category, i.date_id, i.stock_level,
           lag(i.stock_level) OVER series AS before, lag(i.date_id) OVER series AS day_before
    FROM inventory_daily i
    WHERE i.stock_level IS NOT NULL AND i.date_id > (SELECT max(date_id) FROM inventory_daily) - 183
    WINDOW series AS (PARTITION BY i.product_category ORDER BY i.date_id)
), sold AS (
    SELECT product_category, date_id, sum(sales_units) AS units FROM sales_daily
    WHERE date_id > (SELECT max(date_id) FROM inventory_daily) - 185
    GROUP BY product_category, date_id
), received AS (
    SELECT product_category, received_on AS date_id, sum(coalesce(received_quantity, quantity)) AS units
    FROM purchase_orders WHERE received_on IS NOT NULL GROUP BY product_category, received_on
), residual AS (
    SELECT d.product_category, d.stock_level - d.before AS change,
           coalesce(t.units, 0) AS today, coalesce(y.units, 0) AS yesterday,
           coalesce(r.units, 0) AS received, coalesce(b.units, 0) AS received_before,
           greatest(1, 0.05 * avg(coalesce(t.units, 0)) OVER (PARTITION BY d.product_category)) AS tolerance
    FROM day d
    LEFT JOIN sold t ON t.product_category = d.product_category AND t.date_id = d.date_id
    LEFT JOIN sold y ON y.product_category = d.product_category AND y.date_id = d.date_id - 1
    LEFT JOIN received r ON r.product_category = d.product_category AND r.date_id = d.date_id
    LEFT JOIN received b ON b.product_category = d.product_category AND b.date_id = d.date_id - 1
    WHERE d.day_before = d.date_id - 1
)
SELECT product_category, count(*) AS days,
       count(*) FILTER (WHERE abs(change + today - received) > tolerance) AS off_evening,
       count(*) FILTER (WHERE abs(change + yesterday - received) > tolerance
                          AND abs(change + yesterday - received_before) > tolerance) AS off_morning,
       sum(received) > 0 AS receipts_known
FROM residual GROUP BY product_category ORDER BY product_category
