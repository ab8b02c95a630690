-- Tells every process that listens that a run was published.
SELECT pg_notify('trendcast_run', CAST(:run_id AS text))
