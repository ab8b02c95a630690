-- The incident that sales no longer arrive, once for each time they stop; whether it is made by this call.
WITH written AS (
    INSERT INTO incident (group_key, episode_start, parent_node, kind, impact, members, headline, attribution, created_at)
    VALUES (:group_key, :day, :node, 'DATA_QUALITY', 'HIGH', 1, :headline, '[]', :at)
    ON CONFLICT (group_key, episode_start) DO NOTHING
    RETURNING id
), noted AS (
    INSERT INTO anomaly_log (detected_date, actual_value, expected_value, anomaly_score, impact_level, created_at, level,
                             fingerprint, kind, class, direction, episode_start, event_time, data_available_at,
                             detected_at, incident_id, explanation, last_day, cause, lead)
    SELECT :day, 0, 0, :score, 'HIGH', :at, 'total', decode(:fingerprint, 'hex'), 'DATA_QUALITY', 'LATE_FEED', 0, :day,
           CAST(:day AS date) + interval '1 day', :available, :at, id, CAST(:explanation AS jsonb), :day, 'data quality', true
    FROM written
), logged AS (
    INSERT INTO anomaly_event (incident_id, action, to_status, who, at) SELECT id, 'found', 'NEW', 'TrendCast', :at FROM written
)
SELECT EXISTS (SELECT FROM written) AS made
