-- Messages, newest first, of one incident (those about many among them) or of all (:incident_id null): who was written to,
-- what, and what became of it.
SELECT id, incident_id, impact, channel, recipient, message_id, in_reply_to, subject, body_text, body_html, reason, status,
       attempts, next_attempt_at, last_code, last_error, created, sent_at, data_available_at
FROM outbox
WHERE :incident_id::bigint IS NULL OR incident_id = :incident_id
   OR (reason IN ('storm', 'summary') AND facts -> 'incidents' @> to_jsonb(:incident_id::bigint))
ORDER BY created DESC, id DESC
LIMIT :limit
