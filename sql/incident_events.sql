-- What happened to an incident, oldest first.
SELECT id, at, who, action, from_status, to_status, note, details FROM anomaly_event WHERE incident_id = :id ORDER BY id
