-- Sums over the published forecasts that were scored, by how many weeks before; an empty list means all of the level.
SELECT lag_weeks, count(*) AS n, count(DISTINCT week) AS weeks, min(week) AS first_week, max(week) AS last_week,
       sum(abs(mean - actual)) AS abs_error, sum(mean - actual) AS error, sum(actual) AS actual,
       count(*) FILTER (WHERE actual BETWEEN q10 AND q90) AS inside80
FROM forecast_log
WHERE level = :level AND run_id <= :run_id AND actual IS NOT NULL AND week + 6 <= CAST(:last_day AS date)
  AND (CAST(:series_ids AS int[]) = '{}' OR series_id = ANY(CAST(:series_ids AS int[])))
GROUP BY lag_weeks ORDER BY lag_weeks
