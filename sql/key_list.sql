-- All keys, newest first, without what they are.
SELECT name, scopes, created_by, created_at, expires_at, last_used_at, revoked_at
FROM api_key ORDER BY created_at DESC, id DESC
