-- Readers see this run from now on.
INSERT INTO current_run (id, run_id) VALUES (1, :run_id)
ON CONFLICT (id) DO UPDATE SET run_id = excluded.run_id, published_at = now()
