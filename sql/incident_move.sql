-- Moves an incident and its members and logs it; returns the new version. What of it the data no longer show stays so.
WITH moved AS (
    UPDATE incident
    SET status = :status, owner = :owner, snoozed_until = :snoozed_until, disposition = :disposition, note = :note,
        version = version + 1, acked_by = :acked_by, acked_at = :acked_at, resolved_by = :resolved_by,
        resolved_at = :resolved_at
    WHERE id = :id
    RETURNING id, version, impact
), members AS (
    UPDATE anomaly_log
    SET status = :status, snoozed_until = :snoozed_until, disposition = :disposition, note = :note,
        version = version + 1, acked_by = :acked_by, acked_at = :acked_at, resolved_by = :resolved_by,
        resolved_at = :resolved_at
    WHERE incident_id = :id
      AND (status <> 'RESOLVED' OR note IS NULL OR note <> ALL(CAST(:corrected AS text[])))
), logged AS (
    INSERT INTO anomaly_event (incident_id, action, from_status, to_status, details, who, at, note)
    SELECT id, :action, :from_status, :status, CAST(:details AS jsonb) || jsonb_build_object('impact', impact), :who, :at,
           :event_note
    FROM moved
)
SELECT version FROM moved
