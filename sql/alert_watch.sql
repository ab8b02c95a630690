-- What should have happened: the first merged batch of sales that no detection has seen :late minutes after it came, and
-- the first that no published run holds (whether that is late the caller says, who knows when a refresh is due). Null
-- where all is well, and for data that ended long ago.
WITH sales AS (
    SELECT id, committed_at, committed_at::date - last_day AS age FROM load_batch
    WHERE status = 'merged' AND table_name = 'sales_daily' AND rows_new + rows_changed > 0
), overdue AS (
    SELECT * FROM sales WHERE committed_at < :now::timestamptz - :late * interval '1 minute' AND age <= 14
), unchecked AS (
    SELECT id, committed_at FROM overdue
    WHERE id > coalesce((SELECT max(data_version) FROM detection_run WHERE status = 'done'), 0)
    ORDER BY id LIMIT 1
), unrefreshed AS (
    SELECT id, committed_at FROM sales
    WHERE age <= 14 AND id > coalesce((SELECT data_batch_hi FROM run JOIN current_run c ON c.run_id = run.id), 0)
    ORDER BY id LIMIT 1
)
SELECT (SELECT id FROM unchecked) AS unchecked_batch, (SELECT committed_at FROM unchecked) AS unchecked_since,
       (SELECT id FROM unrefreshed) AS unrefreshed_batch, (SELECT committed_at FROM unrefreshed) AS unrefreshed_since
