-- The session of this id if it still holds: person, role, expires_at. That it was seen is written once a minute at most.
WITH found AS (
    SELECT id, person, role, expires_at, seen_at FROM person_session
    WHERE id = CAST(:id AS uuid) AND ended_at IS NULL AND expires_at > :now
), seen AS (
    UPDATE person_session SET seen_at = :now
    FROM found WHERE person_session.id = found.id AND found.seen_at < CAST(:now AS timestamptz) - interval '1 minute'
)
SELECT person, role, expires_at FROM found
