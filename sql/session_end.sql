-- Ends the session of this id; its person, or no row when it had ended before.
UPDATE person_session SET ended_at = :now
WHERE id = CAST(:id AS uuid) AND ended_at IS NULL AND expires_at > :now
RETURNING person
