-- The stored arrays of some series of a run.
SELECT r.series_id, r.daily, r.weekly, r.weights, r.unit_price
FROM run_series r WHERE r.run_id = :run_id AND r.series_id = ANY(:series_ids)
