-- What decides whether the service is well, in one row.
WITH published AS (
    SELECT run.data_batch_hi, run.last_day, run.published_at FROM current_run JOIN run ON run.id = current_run.run_id
), sales AS (
    SELECT max(last_day) AS last_day, max(committed_at) AS committed_at
    FROM load_batch WHERE status = 'merged' AND table_name = 'sales_daily'
)
SELECT now() AS now,
       published.published_at, published.last_day AS run_last_day,
       sales.last_day AS sales_last_day, sales.committed_at AS sales_committed_at,
       -- Historical data was old already when its newest day arrived.
       (SELECT min(batch.committed_at)::date FROM load_batch AS batch
        WHERE batch.status = 'merged' AND batch.table_name = 'sales_daily' AND batch.last_day = sales.last_day)
           - sales.last_day AS days_old_when_loaded,
       (SELECT min(committed_at) FROM load_batch
        WHERE status = 'merged' AND rows_new + rows_changed > 0 AND id > coalesce(published.data_batch_hi, 0))
           AS unpublished_since,
       EXISTS (SELECT FROM job_slot WHERE name = 'refresh' AND state IN ('queued', 'running')) AS refresh_open,
       -- The demo retailer lives through its past: what it holds so far is no state of anything.
       EXISTS (SELECT FROM job_slot WHERE name IN ('demo', 'next_day') AND state = 'running' AND lease_until >= now())
           AS demo_at_work,
       (SELECT error FROM job_slot WHERE name = 'refresh' AND state IN ('done', 'dead')
        ORDER BY finished_at DESC LIMIT 1) AS refresh_error,
       (SELECT min(next_attempt_at) FROM job_slot WHERE state = 'queued' AND next_attempt_at < now()) AS waiting_since,
       EXISTS (SELECT FROM job_slot WHERE state = 'running' AND lease_until >= now()) AS job_at_work,
       EXISTS (SELECT FROM lease WHERE name = 'ticker' AND lease_until >= now()) AS worker_alive,
       -- A process that died counts as seen until its lease would have ended, 90 seconds longer than it lived.
       (SELECT least(lease_until, now()) FROM lease WHERE name = 'ticker') AS worker_seen,
       -- Not of data that ended long ago: nobody is alerted of it.
       (SELECT min(batch.committed_at) FROM load_batch AS batch
        WHERE batch.status = 'merged' AND batch.table_name = 'sales_daily' AND batch.rows_new + batch.rows_changed > 0
          AND batch.committed_at::date - batch.last_day <= :historical
          AND batch.id > coalesce((SELECT max(data_version) FROM detection_run WHERE status = 'done'), 0))
           AS unchecked_since,
       (SELECT count(*) FROM load_batch WHERE status = 'held') AS held_batches,
       -- Waiting with at least one attempt: without a mail server nothing is attempted, and nothing is wrong.
       (SELECT min(created) FROM outbox WHERE impact = 0 AND attempts > 0
        AND status IN ('PENDING', 'SENDING', 'UNKNOWN')) AS urgent_since,
       (SELECT min(failing_since) FROM channel_state AS c
        WHERE failures > 0 AND EXISTS (SELECT FROM outbox WHERE channel = c.channel AND attempts > 0
                                       AND status IN ('PENDING', 'SENDING', 'UNKNOWN'))) AS mail_failing_since,
       (SELECT last_error FROM channel_state WHERE failures > 0 ORDER BY failing_since LIMIT 1) AS mail_error
FROM sales LEFT JOIN published ON true
