-- Lets exactly these of an incident's events of the calendar stand; returns nothing.
UPDATE learnt_event
SET removed_by = CASE WHEN id = ANY(CAST(:ids AS integer[])) THEN NULL ELSE coalesce(removed_by, :who) END,
    removed_at = CASE WHEN id = ANY(CAST(:ids AS integer[])) THEN NULL ELSE coalesce(removed_at, :at) END
WHERE incident_id = :incident_id
