-- The first message each recipient had of incidents, one about many among them: incident_id, channel, recipient,
-- message_id.
SELECT DISTINCT ON (incident_id, channel, recipient) incident_id, channel, recipient, message_id
FROM (
    SELECT id, incident_id, channel, recipient, message_id, status FROM outbox
    WHERE incident_id = ANY(CAST(:incidents AS bigint[]))
    UNION ALL
    SELECT id, many.value::bigint, channel, recipient, message_id, status
    FROM outbox, jsonb_array_elements_text(facts -> 'incidents') AS many
    WHERE reason IN ('storm', 'summary') AND many.value::bigint = ANY(CAST(:incidents AS bigint[]))
) heard
WHERE status NOT IN ('CANCELLED', 'DEAD')
ORDER BY incident_id, channel, recipient, id
