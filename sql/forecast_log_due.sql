-- Logged weeks that are over but not scored.
SELECT series_id, week, lag_weeks FROM forecast_log WHERE scored_at IS NULL AND week + 6 <= :last_day
