-- The daily forecast of some series as one row each, days in order: first day, then means, quantiles and money as arrays.
SELECT series_id, min(date_id) AS first_day,
       array_agg(mean ORDER BY date_id) AS mean,
       array_agg(q10 ORDER BY date_id) AS q10,
       array_agg(q50 ORDER BY date_id) AS q50,
       array_agg(q90 ORDER BY date_id) AS q90,
       array_agg(money ORDER BY date_id) AS money
FROM forecast
WHERE run_id = :run_id AND series_id = ANY(:series_ids)
GROUP BY series_id
ORDER BY series_id
