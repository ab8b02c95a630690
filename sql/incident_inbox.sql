-- Incidents with the entry they are about: those of these states and filters (an empty list filters nothing), those
-- that are open first, by the money at stake. total: how many there are in all; stock_back: the day from which a
-- category that had run out was there again.
SELECT count(*) OVER () AS total, i.id AS incident_id, i.version, i.status, i.impact, i.kind, a.class, a.level,
       a.product_category, a.region, a.store, a.last_day AS day, i.episode_start AS first_day,
       a.detected_date AS worst_day, a.actual_value AS actual, a.expected_value AS expected, a.lo AS low, a.hi AS high,
       a.anomaly_score AS score, i.loss, a.loss_units, a.direction, i.headline, a.cause, i.owner, i.members,
       i.snoozed_until, i.disposition, i.note, i.created_at,
       a.explanation ->> 'next_step' AS next_step,
       CASE WHEN a.kind = 'SUPPLY' THEN (
           SELECT min(s.date_id) FROM inventory_daily s
           WHERE s.product_category = a.product_category AND s.date_id > a.last_day
             AND NOT coalesce(s.stockout_flag, s.stock_level <= 0)) END AS stock_back
FROM incident i
JOIN anomaly_log a ON a.incident_id = i.id AND a.lead
WHERE (cardinality(CAST(:statuses AS text[])) = 0 OR i.status = ANY(:statuses))
  AND (cardinality(CAST(:impacts AS text[])) = 0 OR i.impact = ANY(:impacts))
  AND (cardinality(CAST(:kinds AS text[])) = 0 OR i.kind = ANY(:kinds))
  AND (CAST(:snoozed AS boolean) IS NULL OR coalesce(i.snoozed_until > :today, false) = :snoozed)
  AND (:since::date IS NULL OR a.last_day >= :since)
  AND (:id::bigint IS NULL OR i.id = :id)
  AND (cardinality(CAST(:categories AS text[])) = 0 OR a.level = 'total' OR EXISTS (
        SELECT FROM anomaly_log m WHERE m.incident_id = i.id AND m.product_category = ANY(:categories)))
  AND (cardinality(CAST(:regions AS text[])) = 0 OR a.level = 'total' OR EXISTS (
        SELECT FROM anomaly_log m WHERE m.incident_id = i.id AND m.region = ANY(:regions)))
  AND (cardinality(CAST(:stores AS text[])) = 0 OR a.level = 'total' OR EXISTS (
        SELECT FROM anomaly_log m WHERE m.incident_id = i.id AND m.store = ANY(:stores)))
ORDER BY i.status = 'RESOLVED', abs(coalesce(i.loss, a.loss_units)) DESC NULLS LAST,
         array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], i.impact), i.id DESC
LIMIT :limit OFFSET :offset
