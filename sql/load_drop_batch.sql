-- Forget a batch that came again: the new one takes its place.
DELETE FROM load_batch WHERE id = :batch AND status <> 'merged'
