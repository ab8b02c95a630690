-- When something came that is to be detected, null if nothing: the newest sales that no detection has looked at to their last
-- day, or the moment until which a half empty last day was given time; it is the time of the slot that looks at it. While
-- the demo retailer relives its past it detects by itself.
SELECT coalesce(
    (SELECT b.committed_at FROM load_batch b
     WHERE b.status = 'merged' AND b.table_name = 'sales_daily' AND b.rows_new + b.rows_changed > 0
       AND NOT EXISTS (SELECT FROM detection_run d
                       WHERE d.status = 'done' AND d.scope = '' AND d.data_version >= b.id
                         AND coalesce((d.summary ->> 'looked_to')::date, d.as_of) >= b.last_day)
       AND NOT EXISTS (SELECT FROM job_slot WHERE name IN ('demo', 'next_day') AND state IN ('queued', 'running'))
     ORDER BY b.id DESC LIMIT 1),
    (SELECT (d.summary ->> 'waits_until')::timestamptz FROM (
        SELECT summary FROM detection_run WHERE status = 'done' AND scope = ''
        ORDER BY as_of DESC, data_version DESC, id DESC LIMIT 1) d
     WHERE (d.summary ->> 'waits_until')::timestamptz <= now())
) AS newest_sales
