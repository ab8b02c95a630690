-- Whether the check and digest of the hour :due is wanted (there were sales by then), and whether the demo retailer is just
-- reliving its past, of which nobody is told: wanted, demo_at_work.
SELECT EXISTS (SELECT FROM load_batch WHERE status = 'merged' AND table_name = 'sales_daily' AND committed_at <= :due)
       AS wanted,
       EXISTS (SELECT FROM job_slot WHERE name IN ('demo', 'next_day') AND state IN ('queued', 'running'))
       AS demo_at_work
