-- The weekly backtest of some series of a run.
SELECT series_id, actual, mean, members FROM backtest WHERE run_id = :run_id AND series_id = ANY(:series_ids)
