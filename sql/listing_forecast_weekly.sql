-- Weekly forecast rows of the given series of one run: series_id, date (the Monday), mean and nine quantiles.
SELECT series_id, week AS date, mean, q025, q05, q10, q25, q50, q75, q90, q95, q975
FROM forecast_week
WHERE run_id = :run_id AND series_id = ANY(:series_ids) AND week BETWEEN :first AND :last
ORDER BY series_id, week
