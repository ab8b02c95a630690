-- The demo retailer's truth of a selection, summed by day: demand, expected and lost units.
SELECT d.date_id, sum(d.demand) AS demand, sum(d.expected) AS expected, sum(d.lost) AS lost
FROM series s
JOIN demo_truth.daily d ON (s.product_category = '' OR d.product_category = s.product_category)
                       AND (s.region = '' OR d.region = s.region)
                       AND (s.store = '' OR d.store = s.store)
WHERE s.id = ANY(:series_ids) AND d.date_id >= :first_day
GROUP BY d.date_id ORDER BY d.date_id
