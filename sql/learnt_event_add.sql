-- Adds spans of days to the calendar that follow from a verdict; returns their ids.
INSERT INTO learnt_event (incident_id, event, region, first_day, last_day, set_by, set_at)
SELECT :incident_id, :event, :region, span.first_day, span.last_day, :who, :at
FROM unnest(CAST(:first_days AS date[]), CAST(:last_days AS date[])) AS span (first_day, last_day)
RETURNING id
