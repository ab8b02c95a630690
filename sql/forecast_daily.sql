-- The daily forecast of some series of a run.
SELECT series_id, date_id, mean, q025, q05, q10, q25, q50, q75, q90, q95, q975
FROM forecast WHERE run_id = :run_id AND series_id = ANY(:series_ids) ORDER BY series_id, date_id
