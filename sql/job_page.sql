-- Slots of these names and states (an empty list filters nothing), newest first; `total` counts all that fit.
SELECT count(*) OVER () AS total, id, name, scheduled_for, state, attempts, next_attempt_at,
       progress - 'result' - 'stages' AS progress, error, created_at, started_at, finished_at,
       state = 'running' AND lease_until >= now() AS at_work,
       extract(epoch FROM coalesce(finished_at, now()) - started_at)::float8 AS seconds
FROM job_slot
WHERE (cardinality(CAST(:names AS text[])) = 0 OR name = ANY(:names))
  AND (cardinality(CAST(:states AS text[])) = 0 OR state = ANY(:states))
ORDER BY created_at DESC, id DESC LIMIT :limit OFFSET :offset
