-- The newest slot of this name and these arguments that still waits, or is at work.
SELECT id, state, state = 'running' AND lease_until >= now() AS at_work FROM job_slot
WHERE name = :name AND arguments = :arguments::jsonb AND state IN ('queued', 'running')
ORDER BY scheduled_for DESC LIMIT 1
