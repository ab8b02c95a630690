-- The sessions that hold, newest first: person, role, address, started_at, seen_at, expires_at.
SELECT person, role, address, started_at, seen_at, expires_at FROM person_session
WHERE ended_at IS NULL AND expires_at > :now
ORDER BY started_at DESC, id
