-- Everything in the anomaly log, newest first, the specification's columns in front.
SELECT detected_date, product_category, region, actual_value, expected_value, anomaly_score, impact_level, status,
       created_at, level, store, kind, class, direction, lo, hi, loss, incident_id
FROM anomaly_log
ORDER BY detected_date DESC, array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], impact_level), anomaly_score DESC, id
