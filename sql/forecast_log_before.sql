-- What was published for a run's weeks one week earlier: the weeks ahead at one lag further out, and the weeks that are
-- over as they were expected at their start.
WITH own AS (
    SELECT series_id, week, 1 + (week - min(week) OVER ()) / 7 AS lag_weeks
    FROM forecast_week WHERE run_id = :run_id AND series_id = ANY(:series_ids)
)
SELECT l.series_id, l.week, l.mean, l.money
FROM own JOIN forecast_log l ON l.series_id = own.series_id AND l.week = own.week AND l.lag_weeks = own.lag_weeks + 1
UNION ALL
SELECT l.series_id, l.week, l.mean, l.money
FROM forecast_log l JOIN run r ON r.id = :run_id
WHERE l.series_id = ANY(:series_ids) AND l.lag_weeks = 1 AND l.week + 6 <= r.last_day
ORDER BY series_id, week
