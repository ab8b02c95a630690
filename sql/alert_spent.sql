-- How many incidents were mailed at once since :day, and how many were first told of at all, in whichever way, since
-- :lately: day, lately.
SELECT (SELECT count(DISTINCT incident_id) FROM outbox WHERE reason = 'first' AND created >= :day::timestamptz) AS day,
       (SELECT count(*) FROM incident
        WHERE told ->> 'reason' = 'first' AND (told ->> 'at')::timestamptz >= :lately::timestamptz) AS lately
