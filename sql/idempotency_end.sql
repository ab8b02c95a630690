-- Keeps the answer of a request that is done.
UPDATE idempotency SET status = :status, headers = :headers::jsonb, answer = decode(:answer, 'hex')
WHERE who = :who AND address = :address AND key = :key AND status IS NULL
