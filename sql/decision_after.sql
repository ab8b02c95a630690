-- What happened to the stock of a category from a decision to a day: days recorded and out of stock, units sold, and of
-- the orders placed within a week of it what was ordered and what arrived by then; null without purchase orders at all.
SELECT (SELECT count(*) FROM inventory_daily i
        WHERE i.product_category = :product_category AND i.date_id BETWEEN :first AND :last) AS days,
       (SELECT count(*) FROM inventory_daily i
        WHERE i.product_category = :product_category AND i.date_id BETWEEN :first AND :last
          AND COALESCE(i.stockout_flag, i.stock_level <= 0)) AS stockout_days,
       (SELECT sum(s.sales_units) FROM sales_daily s
        WHERE s.product_category = :product_category AND s.date_id BETWEEN :first AND :last) AS sold,
       (SELECT COALESCE(sum(p.quantity) FILTER (WHERE p.ordered_on BETWEEN :first AND :ordered_until), 0)
        FROM purchase_orders p WHERE p.product_category = :product_category HAVING count(*) > 0) AS ordered,
       (SELECT COALESCE(sum(COALESCE(p.received_quantity, p.quantity))
                        FILTER (WHERE p.ordered_on BETWEEN :first AND :ordered_until AND p.received_on <= :last), 0)
        FROM purchase_orders p WHERE p.product_category = :product_category HAVING count(*) > 0) AS arrived
