-- The newest slots, of this job ('' is any), newest first.
SELECT id, name, scheduled_for, state, attempts, next_attempt_at, progress, error, created_at, started_at, finished_at,
       state = 'running' AND lease_until >= now() AS at_work,
       extract(epoch FROM coalesce(finished_at, now()) - started_at)::float8 AS seconds
FROM job_slot WHERE :name::text = '' OR name = :name
ORDER BY created_at DESC, id DESC LIMIT :limit
