-- What decides whether a refresh is due: the time, the newest data at all and at the hour :due, what is published, what waits.
SELECT now() AS now,
       (SELECT data_batch_hi FROM run JOIN current_run ON current_run.run_id = run.id) AS published_batch,
       (SELECT max(id) FROM load_batch WHERE status = 'merged' AND rows_new + rows_changed > 0
           AND committed_at <= :due::timestamptz) AS batch_at_due,
       (SELECT max(committed_at) FROM load_batch WHERE status = 'merged' AND table_name = 'sales_daily') AS newest_sales,
       -- The demo retailer and its next day bring their own refresh.
       EXISTS (SELECT FROM job_slot WHERE name IN ('refresh', 'demo', 'next_day') AND state IN ('queued', 'running')) AS open
