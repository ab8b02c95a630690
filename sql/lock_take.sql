-- Waits for an advisory lock, which is ours until the transaction ends.
SELECT pg_advisory_xact_lock(:number)::text AS held
