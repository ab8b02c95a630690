-- Drops a run with all its rows.
DELETE FROM run WHERE id = :run_id AND id NOT IN (SELECT run_id FROM current_run)
