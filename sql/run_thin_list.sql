-- Ready runs whose daily rows are no longer kept: all but the newest :keep and the current one.
SELECT r.id, extract(isodow FROM r.last_day) = 7 AS weekly_kept,
       EXISTS (SELECT FROM forecast f WHERE f.run_id = r.id) AS has_daily
FROM run r
WHERE r.status = 'ready' AND r.id NOT IN (SELECT run_id FROM current_run)
  AND r.id NOT IN (SELECT id FROM run WHERE status = 'ready' ORDER BY id DESC LIMIT :keep)
