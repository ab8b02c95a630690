-- How many published weeks of each series fell into their 80 % band, one to four weeks ahead: weeks, inside.
SELECT series_id, count(*) AS weeks, count(*) FILTER (WHERE actual BETWEEN q10 AND q90) AS inside
FROM forecast_log
WHERE series_id = ANY(:series_ids) AND lag_weeks <= 4 AND week >= :since AND week + 6 <= :last_day
  AND actual IS NOT NULL
GROUP BY series_id
