-- The last eight weeks to a moment, oldest first: week (its Monday in the zone), incidents that began, alerts and digests
-- sent, and of what was judged in it: real, false_alarms and expected.
WITH weeks AS (
    SELECT generate_series(date_trunc('week', :now::timestamptz AT TIME ZONE :zone) - interval '7 weeks',
                           date_trunc('week', :now::timestamptz AT TIME ZONE :zone), interval '1 week') AS week
), opened AS (
    SELECT date_trunc('week', created_at AT TIME ZONE :zone) AS week, count(*) AS n FROM incident
    WHERE note IS DISTINCT FROM :first_read GROUP BY 1
), sent AS (
    SELECT date_trunc('week', sent_at AT TIME ZONE :zone) AS week,
           count(*) FILTER (WHERE reason <> 'digest') AS alerts, count(*) FILTER (WHERE reason = 'digest') AS digests
    FROM outbox WHERE status = 'SENT' AND channel = 'email' GROUP BY 1
), judged AS (
    SELECT date_trunc('week', coalesce(resolved_at, acked_at) AT TIME ZONE :zone) AS week,
           count(*) FILTER (WHERE disposition = ANY(CAST(:real AS text[]))) AS real,
           count(*) FILTER (WHERE disposition = ANY(CAST(:false AS text[]))) AS false_alarms,
           count(*) FILTER (WHERE disposition = 'expected') AS expected
    FROM incident WHERE disposition IS NOT NULL GROUP BY 1
)
SELECT weeks.week::date AS week, coalesce(opened.n, 0) AS incidents, coalesce(sent.alerts, 0) AS alerts,
       coalesce(sent.digests, 0) AS digests, coalesce(judged.real, 0) AS real,
       coalesce(judged.false_alarms, 0) AS false_alarms, coalesce(judged.expected, 0) AS expected
FROM weeks LEFT JOIN opened USING (week) LEFT JOIN sent USING (week) LEFT JOIN judged USING (week)
ORDER BY week
