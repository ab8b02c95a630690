-- Ready runs whose daily rows are no longer kept: all but the newest :keep and the current one. The newest run of each
-- week of data keeps its weekly sums, whatever day the data end on.
SELECT r.id,
       NOT EXISTS (SELECT FROM run later
                   WHERE later.status = 'ready' AND later.id > r.id
                     AND date_trunc('week', later.last_day) = date_trunc('week', r.last_day)) AS weekly_kept,
       EXISTS (SELECT FROM forecast f WHERE f.run_id = r.id) AS has_daily
FROM run r
WHERE r.status = 'ready' AND r.id NOT IN (SELECT run_id FROM current_run)
  AND r.id NOT IN (SELECT id FROM run WHERE status = 'ready' ORDER BY id DESC LIMIT :keep)
