-- What was published for each week of some series, by how many weeks before, and what was sold, as a run could know it.
SELECT series_id, week, lag_weeks, mean, money, q10, q90,
       CASE WHEN week + 6 <= CAST(:last_day AS date) THEN actual END AS actual
FROM forecast_log
WHERE series_id = ANY(:series_ids) AND run_id <= :run_id
ORDER BY week, lag_weeks, series_id
