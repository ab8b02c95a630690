-- Rendered messages without their bodies, newest first, those of some states (an empty list: all): who was written to, why,
-- and what became of it. state: waiting, sent, unknown (handed over, no answer; sent again), dead (refused, or given up),
-- kept (nobody to write to, or nothing to send it by: the channels of :missing) or held (suppressed or snoozed).
-- total: how many there are.
SELECT *, count(*) OVER () AS total
FROM (
    SELECT id, incident_id, impact, channel, recipient, subject, reason, status, attempts, next_attempt_at, last_code,
           last_error, created, sent_at, deadline,
           CASE WHEN status = 'CANCELLED' AND recipient = :nobody THEN 'kept'
                WHEN status = 'CANCELLED' THEN 'held'
                WHEN status = 'DEAD' AND attempts = 0 THEN 'kept'
                WHEN status = 'PENDING' AND channel = ANY(CAST(:missing AS text[])) THEN 'kept'
                WHEN status IN ('PENDING', 'SENDING') THEN 'waiting'
                ELSE lower(status) END AS state
    FROM outbox
) o
WHERE cardinality(CAST(:states AS text[])) = 0 OR state = ANY(:states)
ORDER BY created DESC, id DESC
LIMIT :limit OFFSET :offset
