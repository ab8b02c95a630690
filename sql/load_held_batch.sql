-- Batches of a table with exactly these bytes that were held or rejected.
SELECT id FROM load_batch WHERE table_name = :table AND sha256 = :sha256 AND status <> 'merged'
