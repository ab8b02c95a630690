-- The merged batch of a table that had exactly these bytes.
SELECT id, source, committed_at, first_day, last_day, rows_in
FROM load_batch
WHERE table_name = :table AND sha256 = :sha256 AND status = 'merged'
