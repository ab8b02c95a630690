-- Forget all batches but one; their quarantine goes with them.
DELETE FROM load_batch WHERE id <> :batch
