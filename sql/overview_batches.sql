-- The newest load batches, newest first.
SELECT id, source, table_name, status, reason, first_day, last_day, rows_in, rows_new, rows_changed, rows_quarantined,
       accepted_by, created_at, committed_at
FROM load_batch ORDER BY id DESC LIMIT :limit
