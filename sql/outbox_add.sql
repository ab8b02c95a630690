-- Writes one message for one recipient; the id, or no row when this one was written before.
INSERT INTO outbox (dedup_key, incident_id, impact, channel, recipient, message_id, in_reply_to, subject, body_text,
                    body_html, reason, facts, data_available_at)
VALUES (:dedup_key, :incident_id, :impact, :channel, :recipient, :message_id, :in_reply_to, :subject, :body_text,
        :body_html, :reason, :facts, :data_available_at)
ON CONFLICT (dedup_key) DO NOTHING
RETURNING id
