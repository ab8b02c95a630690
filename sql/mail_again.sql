-- Sends a message again that was given up or refused: id, recipient and subject; no row when it is none of these.
UPDATE outbox
SET status = 'PENDING', attempts = 0, next_attempt_at = now(), deadline = now() + interval '24 hours',
    lease_until = '-infinity', lease_token = NULL
WHERE id = :id AND status = 'DEAD'
RETURNING id, channel, recipient, subject
