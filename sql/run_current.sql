-- The current run and how many of its runs before it failed since; no row when nothing was published.
SELECT r.id, r.kind, r.first_day, r.last_day, r.horizon, r.n_series, r.data_batch_hi, r.code_version, r.published_at,
       r.summary,
       (SELECT max(id) FROM load_batch WHERE status = 'merged') AS newest_batch,
       (SELECT f.error FROM run f WHERE f.status = 'failed' AND f.id > r.id ORDER BY f.id DESC LIMIT 1) AS failed_since
FROM current_run c JOIN run r ON r.id = c.run_id
