-- Published forecasts whose weeks were over by :last_day, 1 and 4 weeks ahead: series_id, week, lag_weeks, mean, actual.
SELECT series_id, week, lag_weeks, mean, actual
FROM forecast_log
WHERE series_id = ANY(:series_ids) AND lag_weeks IN (1, 4) AND week >= :since AND week + 6 <= :last_day
  AND actual IS NOT NULL
