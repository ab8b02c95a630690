-- Writes a whole detection: its run, incidents, entries and their log, new or measured again; returns the counts. Statuses
-- are not touched, but for entries the data no longer show.
WITH made AS (
    INSERT INTO detection_run (trigger, as_of, data_version, detector_version, scope, status, started, finished, n_series,
                               n_flagged, summary)
    VALUES (:trigger, :as_of, :data_version, :detector_version, '', 'done', :started, :finished, :n_series, :n_flagged,
            :summary::jsonb)
    ON CONFLICT (as_of, data_version, detector_version, scope) DO UPDATE  -- one that waited, or was not to look further
    SET finished = excluded.finished, n_flagged = excluded.n_flagged, summary = excluded.summary
    WHERE detection_run.summary ->> 'waits_until' IS NOT NULL
       OR detection_run.summary ->> 'looked_to' < excluded.summary ->> 'looked_to'
    RETURNING id
), thinned AS (
    -- What was found is in the log; only the newest run answers for the same data again.
    UPDATE detection_run SET summary = summary #- '{result,anomalies}'
    WHERE scope = '' AND (as_of, data_version) < (:as_of, :data_version)
      AND summary #> '{result,anomalies}' IS NOT NULL AND EXISTS (SELECT FROM made)
), told AS (
    SELECT * FROM jsonb_to_recordset(:incidents::jsonb) AS t (
        group_key text, episode_start date, parent_node text, kind text, impact text, status text, loss float8,
        members int, headline text, attribution jsonb, note text, at timestamptz)
    WHERE EXISTS (SELECT FROM made)
), earlier AS (
    SELECT i.group_key, i.episode_start, i.status FROM incident i JOIN told USING (group_key, episode_start)
), written AS (
    INSERT INTO incident (group_key, episode_start, parent_node, kind, impact, status, loss, members, headline,
                          attribution, note, created_at, resolved_by, resolved_at)
    SELECT group_key, episode_start, parent_node, kind, impact, status, loss, members, headline, attribution, note, at,
           CASE WHEN status = 'RESOLVED' THEN 'TrendCast' END, CASE WHEN status = 'RESOLVED' THEN at END
    FROM told
    ON CONFLICT (group_key, episode_start) DO UPDATE
    SET kind = excluded.kind, loss = excluded.loss, members = excluded.members, headline = excluded.headline,
        attribution = excluded.attribution,
        impact = CASE WHEN array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], excluded.impact)
                           < array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], incident.impact)
                      THEN excluded.impact ELSE incident.impact END,
        revision = incident.revision + CASE WHEN array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], excluded.impact)
                           < array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], incident.impact) THEN 1 ELSE 0 END,
        version = incident.version + 1,
        -- The detector ends what the data no longer show or what is as usual again, and begins anew what it had ended so
        -- and the data show again.
        (status, note, told, resolved_by, resolved_at) = (
            SELECT CASE WHEN ends THEN 'RESOLVED' WHEN reopens THEN 'NEW' ELSE incident.status END,
                   CASE WHEN ends THEN excluded.note WHEN NOT reopens THEN incident.note END,
                   CASE WHEN reopens THEN coalesce(incident.told, '{}') || '{"reason": "reopened"}' ELSE incident.told END,
                   CASE WHEN ends THEN 'TrendCast' WHEN NOT reopens THEN incident.resolved_by END,
                   CASE WHEN ends THEN excluded.created_at WHEN NOT reopens THEN incident.resolved_at END
            FROM (SELECT excluded.note IS NOT NULL AND incident.status <> 'RESOLVED'
                         AND excluded.note = ANY(CAST(:corrections AS text[]) || CAST(:recovered AS text)) AS ends,
                         excluded.note IS NULL AND incident.status = 'RESOLVED'
                         AND incident.resolved_by IS NOT DISTINCT FROM 'TrendCast' AND incident.note IS NOT NULL
                         AND incident.note = ANY(CAST(:corrections AS text[])) AS reopens) AS turn)
    RETURNING id, group_key, episode_start, status, note, version, disposition, snoozed_until
), noted AS (
    INSERT INTO anomaly_log (detected_date, product_category, region, actual_value, expected_value, anomaly_score,
        impact_level, status, created_at, level, store, fingerprint, kind, class, direction, episode_start, lo, hi, z, p,
        q, loss, event_time, data_available_at, detected_at, forecast_run, detection_run, incident_id, explanation,
        last_day, loss_units, cause, lead, note, disposition, snoozed_until, resolved_by, resolved_at)
    -- Who joins an incident is where it is.
    SELECT t.detected_date, t.product_category, t.region, t.actual, t.expected, t.score, t.impact, w.status, t.at, t.level,
        t.store, decode(t.fingerprint, 'hex'), t.kind, t.class, t.direction, t.episode_start, t.lo, t.hi, t.z, t.p, t.q,
        t.loss, t.detected_date + interval '1 day', :data_available_at, t.at, t.forecast_run, made.id, w.id,
        t.explanation, t.last_day, t.loss_units, t.cause, t.lead, t.note, w.disposition, w.snoozed_until,
        CASE WHEN w.status = 'RESOLVED' THEN 'TrendCast' END, CASE WHEN w.status = 'RESOLVED' THEN t.at END
    FROM jsonb_to_recordset(:entries::jsonb) AS t (
        detected_date date, product_category text, region text, store text, level text, actual float8, expected float8,
        score float8, impact text, status text, at timestamptz, fingerprint text, kind text, class text,
        direction smallint, episode_start date, lo float8, hi float8, z float8, p float8, q float8, loss float8,
        forecast_run bigint, group_key text, group_start date, explanation jsonb, last_day date, loss_units float8,
        cause text, lead boolean, note text)
    CROSS JOIN made
    JOIN written w ON w.group_key = t.group_key AND w.episode_start = t.group_start
    ON CONFLICT (fingerprint) DO UPDATE
    SET detected_date = excluded.detected_date, actual_value = excluded.actual_value,
        expected_value = excluded.expected_value, anomaly_score = excluded.anomaly_score,
        impact_level = excluded.impact_level, kind = excluded.kind, class = excluded.class, lo = excluded.lo,
        hi = excluded.hi, z = excluded.z, p = excluded.p, q = excluded.q, loss = excluded.loss,
        explanation = excluded.explanation, last_day = excluded.last_day, loss_units = excluded.loss_units,
        cause = excluded.cause, version = anomaly_log.version + 1,
        (status, note, resolved_by, resolved_at) = (  -- by the rule of its incident
            SELECT CASE WHEN ends THEN 'RESOLVED' WHEN reopens THEN 'NEW' ELSE anomaly_log.status END,
                   CASE WHEN ends THEN excluded.note WHEN NOT reopens THEN anomaly_log.note END,
                   CASE WHEN ends THEN 'TrendCast' WHEN NOT reopens THEN anomaly_log.resolved_by END,
                   CASE WHEN ends THEN excluded.created_at WHEN NOT reopens THEN anomaly_log.resolved_at END
            FROM (SELECT excluded.note IS NOT NULL AND anomaly_log.status <> 'RESOLVED'
                         AND excluded.note = ANY(CAST(:corrections AS text[]) || CAST(:recovered AS text)) AS ends,
                         excluded.note IS NULL AND anomaly_log.status = 'RESOLVED'
                         AND anomaly_log.resolved_by IS NOT DISTINCT FROM 'TrendCast' AND anomaly_log.note IS NOT NULL
                         AND anomaly_log.note = ANY(CAST(:corrections AS text[])) AS reopens) AS turn)
    RETURNING id
), logged AS (
    INSERT INTO anomaly_event (incident_id, action, from_status, to_status, who, at, note)
    SELECT w.id, CASE WHEN t.note = ANY(CAST(:corrections AS text[])) THEN 'corrected'
                      WHEN t.note = :recovered THEN 'recovered'
                      WHEN b.status IS NOT NULL THEN 'reopened' ELSE 'found' END, b.status, w.status, 'TrendCast', t.at, t.note
    FROM written w JOIN told t USING (group_key, episode_start) LEFT JOIN earlier b USING (group_key, episode_start)
    WHERE b.status IS NULL OR b.status <> w.status
    RETURNING id
)
SELECT (SELECT id FROM made) AS detection_run, (SELECT count(*) FROM written) AS incidents,
       (SELECT count(*) FROM noted) AS entries, (SELECT count(*) FROM logged) AS events
