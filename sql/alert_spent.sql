-- What was mailed at once since :day: incidents by a mail of their own and mails about many (day, of these storms) and later
-- news of incidents (news); and how many incidents were first told of at all, in whichever way, since :lately (lately).
-- What a suppression held was no mail.
WITH mailed AS (
    SELECT reason, incident_id, split_part(dedup_key, '|', 2) || '-' || split_part(dedup_key, '|', 3) AS many
    FROM outbox WHERE created >= :day::timestamptz AND suppressed_by IS NULL
)
SELECT (SELECT count(DISTINCT incident_id) FROM mailed WHERE reason = 'first')
           + (SELECT count(DISTINCT many) FROM mailed WHERE reason = 'storm') AS day,
       (SELECT count(DISTINCT many) FROM mailed WHERE reason = 'storm') AS storms,
       (SELECT count(DISTINCT (incident_id, reason)) FROM mailed
        WHERE reason IN ('worse', 'wider', 'reminder', 'awake', 'resolved')) AS news,
       (SELECT count(*) FROM incident
        WHERE told ->> 'reason' IN ('first', 'storm', 'digest')
          AND (told ->> 'at')::timestamptz >= :lately::timestamptz) AS lately
