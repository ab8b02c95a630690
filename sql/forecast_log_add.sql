-- Logs a run's weekly forecasts; of several runs with the same lag the first counts.
INSERT INTO forecast_log (series_id, week, lag_weeks, run_id, level, product_category, region, store, mean, money, q10, q90)
SELECT f.series_id, f.week, 1 + (f.week - min(f.week) OVER ()) / 7, f.run_id, s.level, s.product_category, s.region,
       s.store, f.mean, f.money, f.q10, f.q90
FROM forecast_week f JOIN series s ON s.id = f.series_id
WHERE f.run_id = :run_id
ON CONFLICT DO NOTHING
