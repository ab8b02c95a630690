-- The session :pid of ours where it waits for what its client says: pid. No row: it works, or there is none of this number.
SELECT pid FROM pg_stat_activity
WHERE pid = :pid AND datname = current_database() AND usename = current_user
  AND state IN ('idle', 'idle in transaction', 'idle in transaction (aborted)')
