-- The anomalies of incidents, those with most at stake first, at most 20 of each: incident_id and what a mail lists.
SELECT incident_id, level, product_category, region, store, detected_date, actual_value, expected_value, anomaly_score,
       class, loss, loss_units, cause, explanation, data_available_at
FROM (
    SELECT a.*, row_number() OVER (PARTITION BY incident_id ORDER BY lead DESC,
                                   abs(coalesce(loss, actual_value - expected_value)) DESC, id) AS place
    FROM anomaly_log a WHERE incident_id = ANY(CAST(:incidents AS bigint[]))
) ranked
WHERE place <= 20
ORDER BY incident_id, place
