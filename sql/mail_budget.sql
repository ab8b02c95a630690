-- Incidents that became urgent since a moment, newest first, and what was made of each: mailed (at once), digest (the day's
-- budget was used) or storm (part of one mail about many); at, incident_id, headline, impact.
SELECT told.what, told.at, i.id AS incident_id, i.headline, i.impact
FROM (
    SELECT 'mailed' AS what, min(created) AS at, incident_id FROM outbox
    WHERE reason = 'first' AND created >= :since AND incident_id IS NOT NULL
    GROUP BY incident_id
    UNION ALL
    SELECT CASE WHEN note LIKE 'Left to the digest%' THEN 'digest' ELSE 'storm' END, at, incident_id FROM anomaly_event
    WHERE action = 'told' AND at >= :since AND (note LIKE 'Left to the digest%' OR note LIKE 'Part of one mail%')
) told JOIN incident i ON i.id = told.incident_id
ORDER BY told.at DESC, i.id DESC
