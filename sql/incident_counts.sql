-- How the inbox stands, one row; and the newest detection.
SELECT count(*) FILTER (WHERE status <> 'RESOLVED') AS open,
       count(*) FILTER (WHERE status <> 'RESOLVED' AND impact = 'HIGH') AS high,
       count(*) FILTER (WHERE status <> 'RESOLVED' AND impact = 'MEDIUM') AS medium,
       count(*) FILTER (WHERE status <> 'RESOLVED' AND impact = 'LOW') AS low,
       count(*) FILTER (WHERE status = 'NEW') AS new,
       count(*) FILTER (WHERE status <> 'RESOLVED' AND kind = 'DATA_QUALITY') AS data_quality,
       count(*) FILTER (WHERE status = 'RESOLVED' AND resolved_at >= :since AND note IS DISTINCT FROM :first_read)
           AS resolved_7d
FROM incident
