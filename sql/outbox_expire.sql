-- What nobody answers for any more: a lease that ran out may have been sent, a deadline that passed is given up.
UPDATE outbox
SET status = CASE WHEN deadline < now() THEN 'DEAD' ELSE 'UNKNOWN' END,
    last_error = CASE WHEN deadline < now() THEN 'Given up after 24 hours. ' || coalesce(last_error, '')
                      ELSE 'The process that sent this ended before it knew the answer.' END,
    lease_token = NULL, next_attempt_at = now()
WHERE (status = 'SENDING' AND lease_until < now()) OR (status IN ('PENDING', 'UNKNOWN') AND deadline < now())
RETURNING id, status
