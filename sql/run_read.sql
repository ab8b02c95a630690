-- One published run: the current one, or that of :run_id; what came after it, why a later refresh failed. No row: none.
SELECT r.id, r.kind, r.first_day, r.last_day, r.horizon, r.n_series, r.data_batch_hi, r.code_version, r.published_at,
       r.summary,
       -- Historical data was old already when its newest day arrived.
       (SELECT min(b.committed_at)::date - r.last_day FROM load_batch b
        WHERE b.status = 'merged' AND b.table_name = 'sales_daily' AND b.last_day >= r.last_day) AS days_old_when_loaded,
       EXISTS (SELECT FROM load_batch b WHERE b.status = 'merged' AND b.rows_new + b.rows_changed > 0
               AND b.id > r.data_batch_hi) AS newer_data,
       (SELECT failed.error
        FROM (SELECT f.created_at AS at, f.error FROM run f WHERE f.status = 'failed' AND f.id > r.id
              UNION ALL
              -- A refresh may die before it has a run; one that began before this run was shown was overtaken by it.
              SELECT s.finished_at, s.error FROM job_slot s
              WHERE s.name = 'refresh' AND s.state = 'dead' AND s.started_at > r.published_at) AS failed
        ORDER BY failed.at DESC LIMIT 1) AS failed_since
FROM run r
WHERE r.status = 'ready' AND r.id = coalesce(CAST(:run_id AS bigint), (SELECT c.run_id FROM current_run c))
