-- The last days of data of the published runs that still have their weekly sums, newest first.
SELECT DISTINCT r.last_day FROM run r
WHERE r.status = 'ready' AND EXISTS (SELECT 1 FROM forecast_week f WHERE f.run_id = r.id)
ORDER BY r.last_day DESC
