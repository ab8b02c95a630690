-- Readers see this run from now on; no row is touched when a run of newer data is shown already.
INSERT INTO current_run (id, run_id) VALUES (1, :run_id)
ON CONFLICT (id) DO UPDATE SET run_id = excluded.run_id, published_at = now()
WHERE (SELECT data_batch_hi FROM run WHERE id = excluded.run_id)
   >= (SELECT data_batch_hi FROM run WHERE id = current_run.run_id)
