-- Each series' last weeks as they were forecast one week before, with what was sold: what bias runs are told from.
SELECT l.series_id, l.week, l.mean, l.actual
FROM forecast_log l JOIN run_series r ON r.run_id = :run_id AND r.series_id = l.series_id
WHERE l.lag_weeks = 1 AND l.run_id <= :run_id AND l.actual IS NOT NULL
  AND l.week + 6 <= CAST(:last_day AS date) AND l.week > CAST(:last_day AS date) - 7 * CAST(:weeks AS integer)
ORDER BY l.series_id, l.week
