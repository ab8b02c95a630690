-- The valid key of this hash: name, scopes. Its last use is written at most once a minute.
WITH found AS (
    SELECT id, name, scopes, last_used_at FROM api_key
    WHERE key_hash = :hash AND revoked_at IS NULL AND expires_at > :now
), used AS (
    UPDATE api_key SET last_used_at = :now
    FROM found WHERE api_key.id = found.id
      AND (found.last_used_at IS NULL OR found.last_used_at < CAST(:now AS timestamptz) - interval '1 minute')
)
SELECT name, scopes FROM found
