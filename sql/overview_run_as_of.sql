-- The last published run whose data ended on a day or before.
SELECT r.id FROM run r
WHERE r.status = 'ready' AND r.last_day <= :day AND EXISTS (SELECT 1 FROM forecast_week f WHERE f.run_id = r.id)
ORDER BY r.last_day DESC, r.id DESC LIMIT 1
