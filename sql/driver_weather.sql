-- How many sales rows of a region report which weather, by day.
SELECT date_id, region, weather_condition, count(*) AS rows
FROM sales_daily
WHERE weather_condition IS NOT NULL AND date_id BETWEEN :first_day AND :last_day
GROUP BY date_id, region, weather_condition
