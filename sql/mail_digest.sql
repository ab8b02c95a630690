-- How the digest stands, one row: waiting (open incidents that are for the digest alone), last_at and last_subject of the
-- newest one.
SELECT (SELECT count(*) FROM incident
        WHERE status <> 'RESOLVED' AND impact <> 'HIGH' AND (snoozed_until IS NULL OR snoozed_until <= :today)) AS waiting,
       newest.created AS last_at, newest.subject AS last_subject
FROM (SELECT 1) one
LEFT JOIN LATERAL (SELECT created, subject FROM outbox WHERE reason = 'digest' ORDER BY created DESC LIMIT 1) newest ON true
