-- The entries of exactly these series, with the days they were notable in their explanation.
SELECT a.explanation, a.impact_level AS impact, a.direction, a.class, a.kind, a.incident_id, a.status, a.disposition,
       a.note, coalesce(i.headline, '') AS headline
FROM series s
JOIN anomaly_log a ON a.level = s.level AND a.product_category = s.product_category AND a.region = s.region
                  AND a.store = s.store
LEFT JOIN incident i ON i.id = a.incident_id
WHERE s.id = ANY(:series_ids)
ORDER BY a.detected_date
