-- The newest runs, newest first.
SELECT r.id, r.status, r.kind, r.last_day, r.n_series, r.created_at, r.published_at, r.error, r.summary,
       c.run_id IS NOT NULL AS is_current
FROM run r LEFT JOIN current_run c ON c.run_id = r.id
ORDER BY r.id DESC LIMIT :limit
