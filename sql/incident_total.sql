-- How many incidents fit the filters of incident_inbox.
SELECT count(*) AS total
FROM incident i
JOIN anomaly_log a ON a.incident_id = i.id AND a.lead
WHERE (cardinality(CAST(:statuses AS text[])) = 0 OR i.status = ANY(:statuses))
  AND (cardinality(CAST(:impacts AS text[])) = 0 OR i.impact = ANY(:impacts))
  AND (cardinality(CAST(:kinds AS text[])) = 0 OR i.kind = ANY(:kinds))
  AND (CAST(:snoozed AS boolean) IS NULL OR coalesce(i.snoozed_until > :today, false) = :snoozed)
  AND (:since::date IS NULL OR a.last_day >= :since)
  AND (cardinality(CAST(:categories AS text[])) = 0 OR a.level = 'total' OR EXISTS (
        SELECT FROM anomaly_log m WHERE m.incident_id = i.id AND m.product_category = ANY(:categories)))
  AND (cardinality(CAST(:regions AS text[])) = 0 OR a.level = 'total' OR EXISTS (
        SELECT FROM anomaly_log m WHERE m.incident_id = i.id AND m.region = ANY(:regions)))
  AND (cardinality(CAST(:stores AS text[])) = 0 OR a.level = 'total' OR EXISTS (
        SELECT FROM anomaly_log m WHERE m.incident_id = i.id AND m.store = ANY(:stores)))
