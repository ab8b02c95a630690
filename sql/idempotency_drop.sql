-- Frees the key of a request that failed: it may be sent again.
DELETE FROM idempotency WHERE who = :who AND address = :address AND key = :key AND status IS NULL
