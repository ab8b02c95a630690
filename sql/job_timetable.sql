-- Per job of the last 60 days: how it stands, its newest end, how long it usually takes, and its next attempt.
WITH recent AS (
    SELECT *, extract(epoch FROM finished_at - started_at)::float8 AS seconds FROM job_slot
    WHERE state <> 'skipped' AND coalesce(finished_at, started_at, next_attempt_at) > now() - interval '60 days'
), ended AS (
    SELECT *, row_number() OVER (PARTITION BY name ORDER BY finished_at DESC, id DESC) AS place FROM recent
    WHERE state IN ('done', 'dead') AND finished_at IS NOT NULL
)
SELECT name,
       bool_or(recent.state = 'running' AND lease_until >= now()) AS at_work,
       min(next_attempt_at) FILTER (WHERE recent.state = 'queued') AS waits_for,
       -- Of a job that waits for another attempt: why the last one failed.
       (array_agg(recent.error ORDER BY next_attempt_at) FILTER (WHERE recent.state = 'queued' AND recent.error IS NOT NULL))[1] AS retry_error,
       max(finished_at) AS ended_at,
       max(last.state) AS last_state, max(last.error) AS last_error, max(last.id) AS last_id, max(last.seconds) AS seconds,
       max(usual.usual_seconds) AS usual_seconds, coalesce(max(usual.done), 0)::integer AS done,
       count(*) FILTER (WHERE recent.state = 'dead')::integer AS dead
FROM recent
LEFT JOIN (SELECT name, id, state, error, seconds FROM ended WHERE place = 1) AS last USING (name)
-- What failed says nothing of how long the work takes.
LEFT JOIN (
    SELECT name, count(*) AS done, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS usual_seconds
    FROM (SELECT name, seconds, row_number() OVER (PARTITION BY name ORDER BY finished_at DESC) AS place
          FROM ended WHERE state = 'done' AND started_at IS NOT NULL) AS successful
    WHERE place <= 20 GROUP BY name
) AS usual USING (name)
GROUP BY name
ORDER BY name
