-- Keeps a look at one series with its run; one made again replaces the old one.
INSERT INTO look (run_id, series_id, kind, result) VALUES (:run_id, :series_id, :kind, CAST(:result AS jsonb))
ON CONFLICT (run_id, series_id, kind) DO UPDATE SET result = excluded.result, created_at = now()
