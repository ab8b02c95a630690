-- The id of a new key; no row when a valid one of that name exists.
INSERT INTO api_key (name, key_hash, scopes, created_by, created_at, expires_at)
SELECT :name, :hash, CAST(:scopes AS text[]), :who, :now, :expires
WHERE NOT EXISTS (SELECT FROM api_key WHERE name = :name AND revoked_at IS NULL AND expires_at > :now)
RETURNING id
