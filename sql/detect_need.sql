-- When the newest sales came that no detection has seen, null if none: the time of the slot that looks at them. While the
-- demo retailer relives its past it detects by itself.
SELECT (SELECT b.committed_at FROM load_batch b
        WHERE b.status = 'merged' AND b.table_name = 'sales_daily' AND b.rows_new + b.rows_changed > 0
          AND b.id > coalesce((SELECT max(data_version) FROM detection_run WHERE status = 'done' AND scope = ''), 0)
          AND NOT EXISTS (SELECT FROM job_slot WHERE name IN ('demo', 'next_day') AND state IN ('queued', 'running'))
        ORDER BY b.id DESC LIMIT 1) AS newest_sales
