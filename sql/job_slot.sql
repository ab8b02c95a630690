-- One slot; at_work says whether somebody holds it now.
SELECT id, name, scheduled_for, arguments, state, attempts, next_attempt_at, progress, error, created_at, started_at,
       finished_at, state = 'running' AND lease_until >= now() AS at_work,
       extract(epoch FROM coalesce(finished_at, now()) - started_at)::float8 AS seconds
FROM job_slot WHERE id = :id
