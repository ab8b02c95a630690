-- Anomalies of categories after a day, newest first; of one region, or wherever they were when none is named.
SELECT a.detected_date, a.product_category, a.region, a.store, a.actual_value, a.expected_value, a.anomaly_score,
       a.impact_level, a.status, a.created_at, a.kind, a.class, a.direction, i.headline
FROM anomaly_log a LEFT JOIN incident i ON i.id = a.incident_id
WHERE a.detected_date > :after AND a.product_category <> '' AND a.kind <> 'DATA_QUALITY'
  AND (CAST(:region AS text) IS NULL OR a.region = :region)
ORDER BY a.detected_date DESC, array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], a.impact_level), a.anomaly_score DESC, a.id
