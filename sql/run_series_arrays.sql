-- The stored arrays of some series of a run, NULL where they were thinned.
SELECT r.series_id, r.history, r.lost, r.parts, r.weights
FROM run_series r WHERE r.run_id = :run_id AND r.series_id = ANY(:series_ids)
