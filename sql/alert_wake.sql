-- Ends the snooze of incidents that got worse, and notes it in the log of each; returns nothing.
WITH woken AS (
    UPDATE incident SET snoozed_until = NULL, version = version + 1
    WHERE id = ANY(CAST(:incidents AS bigint[])) RETURNING id, status
), members AS (
    UPDATE anomaly_log SET snoozed_until = NULL, version = anomaly_log.version + 1
    FROM woken WHERE incident_id = woken.id AND anomaly_log.snoozed_until IS NOT NULL
)
INSERT INTO anomaly_event (incident_id, action, from_status, to_status, who, at, note)
SELECT id, 'woken', status, status, 'TrendCast', :now, 'The snooze ended: the impact is HIGH now.' FROM woken
