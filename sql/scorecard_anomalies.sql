-- Anomalies written since a moment, one row: total_anomalies, high_impact, resolved.
SELECT count(*) AS total_anomalies,
       count(*) FILTER (WHERE impact_level = 'HIGH') AS high_impact,
       count(*) FILTER (WHERE status = 'RESOLVED') AS resolved
FROM anomaly_log
WHERE created_at >= :since
