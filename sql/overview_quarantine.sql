-- Quarantined rows of one batch (null: of all), newest first.
SELECT q.batch_id, b.table_name, b.source, q.row_number, q.reason, q.raw
FROM quarantine q JOIN load_batch b ON b.id = q.batch_id
WHERE CAST(:batch_id AS bigint) IS NULL OR q.batch_id = CAST(:batch_id AS bigint)
ORDER BY q.id DESC LIMIT :limit
