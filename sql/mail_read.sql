-- One rendered message with its bodies.
SELECT id, incident_id, channel, recipient, message_id, in_reply_to, subject, body_text, body_html, reason, status, attempts,
       last_code, last_error, created, sent_at
FROM outbox WHERE id = :id
