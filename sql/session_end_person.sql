-- Ends all sessions of a person; their ids.
UPDATE person_session SET ended_at = :now
WHERE person = :person AND ended_at IS NULL AND expires_at > :now
RETURNING id
