-- Drops the weekly backtest of every run but the newest two ready ones.
DELETE FROM backtest WHERE run_id NOT IN (SELECT id FROM run WHERE status = 'ready' ORDER BY id DESC LIMIT 2)
