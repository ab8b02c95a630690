-- Incidents that were acknowledged long ago and then left are new again, with a reminder due; returns nothing.
WITH lapsed AS (
    UPDATE incident
    SET status = 'NEW', version = version + 1, acked_by = NULL, acked_at = NULL,
        told = told || jsonb_build_object('reason', 'lapsed', 'at', :now::timestamptz - interval '1 year')
    -- Only what somebody was told of: a past that was read at once stays as its people left it.
    WHERE told ->> 'reason' <> 'hushed' AND status = 'ACKNOWLEDGED' AND disposition IS NULL
      AND acked_at < :now::timestamptz - :hours * interval '1 hour'
      AND (snoozed_until IS NULL OR snoozed_until <= :today)
    RETURNING id
), members AS (
    UPDATE anomaly_log SET status = 'NEW', version = version + 1, acked_by = NULL, acked_at = NULL
    FROM lapsed WHERE incident_id = lapsed.id AND status = 'ACKNOWLEDGED'
)
INSERT INTO anomaly_event (incident_id, action, from_status, to_status, who, at, note)
SELECT id, 'lapsed', 'ACKNOWLEDGED', 'NEW', 'TrendCast', :now, 'Acknowledged a day ago, and nothing came of it.'
FROM lapsed
