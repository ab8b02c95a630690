-- The key, when nobody has used it before: it is then taken for a day.
INSERT INTO idempotency (who, address, key, request, expires_at)
VALUES (:who, :address, :key, decode(:request, 'hex'), now() + interval '24 hours')
ON CONFLICT (who, address, key) DO NOTHING
RETURNING key
