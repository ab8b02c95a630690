-- Batches of a table with exactly these bytes that wait for someone to accept them.
SELECT id FROM load_batch WHERE table_name = :table AND sha256 = :sha256 AND status = 'held'
