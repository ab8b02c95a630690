-- Drops the daily rows of a run.
DELETE FROM forecast WHERE run_id = :run_id
