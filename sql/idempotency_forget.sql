-- Forgets answers whose time is over, and requests that were begun and never ended.
DELETE FROM idempotency WHERE expires_at <= now() OR (status IS NULL AND created_at <= now() - interval '10 minutes')
