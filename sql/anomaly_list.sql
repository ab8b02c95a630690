-- Logged anomalies, newest day first, with their incident; `total` counts all that fit. An empty list filters nothing.
SELECT count(*) OVER () AS total, a.id, a.incident_id, a.detected_date AS date, a.level, a.product_category, a.region,
       a.store, a.actual_value AS actual_sales, a.expected_value AS expected_sales, a.anomaly_score, a.impact_level AS impact,
       a.status, a.kind, a.class, a.direction, a.lo AS low, a.hi AS high, a.loss, a.loss_units,
       a.episode_start AS first_day, a.last_day, a.cause, a.lead, a.disposition, a.created_at,
       a.explanation ->> 'headline' AS headline, a.explanation ->> 'next_step' AS next_step,
       CASE WHEN a.kind = 'SUPPLY' THEN (
           SELECT min(s.date_id) FROM inventory_daily s
           WHERE s.product_category = a.product_category AND s.date_id > a.last_day
             AND NOT coalesce(s.stockout_flag, s.stock_level <= 0)) END AS stock_back
FROM anomaly_log a
WHERE (cardinality(CAST(:categories AS text[])) = 0 OR a.product_category = ANY(:categories))
  AND (cardinality(CAST(:regions AS text[])) = 0 OR a.region = ANY(:regions))
  AND (cardinality(CAST(:stores AS text[])) = 0 OR a.store = ANY(:stores))
  AND (cardinality(CAST(:statuses AS text[])) = 0 OR a.status = ANY(:statuses))
  AND (cardinality(CAST(:impacts AS text[])) = 0 OR a.impact_level = ANY(:impacts))
  AND (cardinality(CAST(:kinds AS text[])) = 0 OR a.kind = ANY(:kinds))
  AND (:since::date IS NULL OR a.last_day >= :since)
ORDER BY a.last_day DESC, a.id DESC
LIMIT :limit OFFSET :offset
