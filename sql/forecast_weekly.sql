-- The weekly forecast of some series of a run.
SELECT series_id, week, mean, q025, q05, q10, q25, q50, q75, q90, q95, q975
FROM forecast_week WHERE run_id = :run_id AND series_id = ANY(:series_ids) ORDER BY series_id, week
