-- Whether the check and digest of the hour :due is wanted: there were sales by then, and the demo retailer is not just
-- reliving its past.
SELECT EXISTS (SELECT FROM load_batch WHERE status = 'merged' AND table_name = 'sales_daily' AND committed_at <= :due)
       AND NOT EXISTS (SELECT FROM job_slot WHERE name IN ('demo', 'next_day') AND state IN ('queued', 'running'))
       AS wanted
