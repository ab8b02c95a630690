-- Logged weeks that are over: those not scored yet, and of the last 26 those that were, for their truth may be corrected.
SELECT DISTINCT series_id, week FROM forecast_log
WHERE week + 6 <= :last_day AND (scored_at IS NULL OR week > :last_day::date - 26 * 7)
