-- A published run by its id, with the newest batch and no row when there is none.
SELECT r.id, r.kind, r.first_day, r.last_day, r.horizon, r.n_series, r.data_batch_hi, r.code_version, r.published_at,
       r.summary,
       (SELECT max(id) FROM load_batch WHERE status = 'merged') AS newest_batch,
       (SELECT f.error FROM run f WHERE f.status = 'failed' AND f.id > r.id ORDER BY f.id DESC LIMIT 1) AS failed_since
FROM run r WHERE r.id = :run_id AND r.status = 'ready'
