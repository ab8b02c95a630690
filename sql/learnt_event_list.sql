-- Events that follow from verdicts, the newest first, of one incident or of all: id, incident_id, event, region, first_day,
-- last_day, set_by, set_at.
SELECT id, incident_id, event, region, first_day, last_day, set_by, set_at
FROM learnt_event
WHERE removed_at IS NULL AND (:incident_id::bigint IS NULL OR incident_id = :incident_id)
ORDER BY set_at DESC, id DESC
