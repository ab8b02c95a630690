-- Notes what was told of incidents, and in the log of each that it was (where there is a note); returns nothing.
WITH told AS (
    SELECT * FROM jsonb_to_recordset(:told::jsonb) AS t (id bigint, told jsonb, note text)
), marked AS (
    UPDATE incident SET told = told.told FROM told WHERE incident.id = told.id RETURNING incident.id
)
INSERT INTO anomaly_event (incident_id, action, who, at, note)
SELECT told.id, 'told', 'TrendCast', :now, told.note FROM told JOIN marked USING (id) WHERE told.note IS NOT NULL
