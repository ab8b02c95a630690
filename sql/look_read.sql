-- The look at one series of a run by one kind of model, no row if nobody has asked for it.
SELECT result, created_at FROM look WHERE run_id = :run_id AND series_id = :series_id AND kind = :kind
