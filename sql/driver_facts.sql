-- What a run knows of drivers as a whole; no row when it has none.
SELECT facts FROM run_driver_facts WHERE run_id = :run_id
