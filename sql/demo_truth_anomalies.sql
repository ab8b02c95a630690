-- The labelled anomalies of the demo retailer.
SELECT kind, first_day, last_day, product_category, region, store, size
FROM demo_truth.anomaly ORDER BY first_day, kind, product_category, region
