-- Notes what became of an attempt, if the claim still holds; the id, or no row.
UPDATE outbox
SET status = :status, last_code = :code, last_error = CASE WHEN :status = 'SENT' THEN NULL ELSE :answer END,
    sent_at = CASE WHEN :status = 'SENT' THEN now() END,
    next_attempt_at = now() + :pause * interval '1 second', lease_token = NULL
WHERE id = :id AND lease_token = CAST(:token AS uuid)
RETURNING id
