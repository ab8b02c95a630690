-- The first message each recipient had of incidents: incident_id, channel, recipient, message_id.
SELECT DISTINCT ON (incident_id, channel, recipient) incident_id, channel, recipient, message_id
FROM outbox
WHERE incident_id = ANY(CAST(:incidents AS bigint[])) AND status NOT IN ('CANCELLED', 'DEAD')
ORDER BY incident_id, channel, recipient, id
