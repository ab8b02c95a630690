-- The backtest's figures of a run by level, model and horizon week.
SELECT level, model, horizon_week, metrics FROM backtest_metric WHERE run_id = :run_id
ORDER BY level, model, horizon_week
