-- The current run; no row when nothing is published.
SELECT run.id, run.kind, run.last_day, run.horizon, run.n_series, run.code_version, run.published_at,
       extract(epoch FROM now() - run.published_at)::float8 AS age_seconds,
       (SELECT count(*) FROM load_batch WHERE status = 'merged' AND rows_new + rows_changed > 0
           AND id > run.data_batch_hi) AS newer_batches
FROM current_run JOIN run ON run.id = current_run.run_id
