-- Whether a node has been forecast or sold lately, or there are no sales to know it by: known; and the names there are, to
-- suggest one.
WITH newest AS (
    SELECT max(date_id) AS day FROM sales_daily
)
SELECT (SELECT day IS NULL FROM newest)
       OR EXISTS (SELECT FROM series s
                  WHERE (:product_category = '' OR s.product_category = :product_category)
                    AND (:region = '' OR s.region = :region) AND (:store = '' OR s.store = :store))
       OR EXISTS (SELECT FROM sales_daily s, newest
                  WHERE s.date_id > newest.day - 56
                    AND (:product_category = '' OR s.product_category = :product_category)
                    AND (:region = '' OR s.region = :region) AND (:store = '' OR s.store = :store)) AS known,
       (SELECT coalesce(array_agg(DISTINCT product_category::text), '{}') FROM series WHERE product_category <> '')
           AS categories,
       (SELECT coalesce(array_agg(DISTINCT region::text), '{}') FROM series WHERE region <> '') AS regions,
       (SELECT coalesce(array_agg(DISTINCT store::text), '{}') FROM series WHERE store <> '') AS stores
