-- Incidents mailed at once since a moment: of the day (:day) and of the last minutes (:lately).
SELECT count(DISTINCT incident_id) FILTER (WHERE created >= :day) AS day,
       count(DISTINCT incident_id) FILTER (WHERE created >= :lately) AS lately
FROM outbox WHERE reason = 'first' AND created >= least(:day::timestamptz, :lately::timestamptz)
