-- Per fact table that has rows: how many batches brought rows, their first and last day, rows merged in all.
SELECT table_name, count(*) AS batches, min(first_day) AS first_day, max(last_day) AS last_day,
       sum(rows_new) AS rows_merged, sum(rows_quarantined) AS rows_quarantined, max(committed_at) AS committed_at
FROM load_batch WHERE status = 'merged'
GROUP BY table_name ORDER BY table_name
