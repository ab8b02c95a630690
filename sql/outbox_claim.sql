-- The next message due on a channel, most urgent first, claimed for a while; one that is suppressed or whose incident is
-- snoozed is cancelled instead, and stays so whatever restarts. A channel that is being probed takes what waits longest,
-- due or not: else a server that is back would be found by the next attempt only, which may be ten minutes away.
WITH probed AS (
    SELECT EXISTS (SELECT FROM channel_state WHERE channel = :channel AND next_probe_at > now()) AS probed
), due AS (
    SELECT o.id FROM outbox o, probed
    WHERE o.channel = :channel AND o.status IN ('PENDING', 'UNKNOWN') AND (o.next_attempt_at <= now() OR probed)
    ORDER BY CASE WHEN probed THEN o.next_attempt_at END, o.impact, o.created, o.id LIMIT 1
    FOR UPDATE OF o SKIP LOCKED
), silence AS (
    SELECT o.id, min(s.id) AS suppression, bool_or(i.snoozed_until > :today AND o.reason <> 'worse') AS snoozed
    FROM due JOIN outbox o USING (id)
    LEFT JOIN suppression s ON s.ended_at IS NULL AND s.until > now() AND s.matcher <@ o.facts
    LEFT JOIN incident i ON i.id = o.incident_id
    GROUP BY o.id
)
UPDATE outbox o
SET status = CASE WHEN s.suppression IS NOT NULL OR s.snoozed THEN 'CANCELLED' ELSE 'SENDING' END,
    suppressed_by = s.suppression,
    last_error = CASE WHEN s.suppression IS NOT NULL THEN 'Suppressed.' WHEN s.snoozed THEN 'The incident is snoozed.'
                      ELSE last_error END,
    attempts = attempts + CASE WHEN s.suppression IS NOT NULL OR s.snoozed THEN 0 ELSE 1 END,
    lease_token = CAST(:token AS uuid), lease_until = now() + :lease * interval '1 second'
FROM silence s
WHERE o.id = s.id
RETURNING o.id, o.status, o.dedup_key, o.incident_id, o.impact, o.recipient, o.message_id, o.in_reply_to, o.subject,
          o.body_text, o.body_html, o.reason, o.facts, o.attempts, o.created
