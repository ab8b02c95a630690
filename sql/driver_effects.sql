-- The drivers of some series of a run.
SELECT series_id, drivers, paths FROM run_driver
WHERE run_id = :run_id AND series_id = ANY(:series_ids)
ORDER BY series_id
