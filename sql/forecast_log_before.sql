-- What was published for a run's weeks one week earlier: the same weeks at one lag further out.
WITH own AS (
    SELECT series_id, week, 1 + (week - min(week) OVER ()) / 7 AS lag_weeks
    FROM forecast_week WHERE run_id = :run_id AND series_id = ANY(:series_ids)
)
SELECT l.series_id, l.week, l.mean
FROM own JOIN forecast_log l ON l.series_id = own.series_id AND l.week = own.week AND l.lag_weeks = own.lag_weeks + 1
ORDER BY l.series_id, l.week
