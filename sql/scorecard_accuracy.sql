-- Mean accuracy of the category forecasts scored since a moment, best first: product_category, avg_accuracy, forecast_count.
SELECT product_category, avg(forecast_accuracy) AS avg_accuracy, count(*) AS forecast_count
FROM forecast_log
WHERE level = 'category' AND scored_at >= :since AND forecast_accuracy IS NOT NULL
GROUP BY product_category
ORDER BY avg_accuracy DESC, product_category
