-- The entries of an incident, its own first, then by what they make up of it.
SELECT a.id AS anomaly_id, a.detected_date AS day, a.level, a.product_category, a.region, a.store, a.actual_value AS actual,
       a.expected_value AS expected, a.lo AS low, a.hi AS high, a.anomaly_score AS score, a.impact_level AS impact,
       a.class, a.kind, a.direction, a.loss, a.loss_units, a.lead, a.cause, a.episode_start AS first_day, a.last_day,
       a.explanation
FROM anomaly_log a WHERE a.incident_id = :id
ORDER BY a.lead DESC, abs(a.loss_units) DESC NULLS LAST, a.id
