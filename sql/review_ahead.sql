-- The weeks ahead of some series of a run, and what was published one week earlier for the same weeks.
WITH own AS (
    SELECT series_id, week, mean, money, 1 + (week - min(week) OVER ()) / 7 AS lag_weeks
    FROM forecast_week WHERE run_id = :run_id AND series_id = ANY(:series_ids)
)
SELECT own.series_id, own.week, own.mean, own.money, l.mean AS mean_before, l.money AS money_before,
       l.run_id AS run_before
FROM own LEFT JOIN forecast_log l
  ON l.series_id = own.series_id AND l.week = own.week AND l.lag_weeks = own.lag_weeks + 1
ORDER BY own.series_id, own.week
