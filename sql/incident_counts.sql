-- How the inbox stands, one row. What is snoozed is not open until its day.
SELECT count(*) FILTER (WHERE awake) AS open,
       count(*) FILTER (WHERE awake AND impact = 'HIGH') AS high,
       count(*) FILTER (WHERE awake AND impact = 'MEDIUM') AS medium,
       count(*) FILTER (WHERE awake AND impact = 'LOW') AS low,
       count(*) FILTER (WHERE awake AND status = 'NEW') AS new,
       count(*) FILTER (WHERE awake AND kind = 'DATA_QUALITY') AS data_quality,
       count(*) FILTER (WHERE status <> 'RESOLVED' AND NOT awake) AS snoozed,
       count(*) FILTER (WHERE status = 'RESOLVED' AND resolved_at >= :since AND note IS DISTINCT FROM :first_read)
           AS resolved_7d
FROM (SELECT *, status <> 'RESOLVED' AND (snoozed_until IS NULL OR snoozed_until <= :today) AS awake FROM incident) i
