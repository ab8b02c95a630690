-- The newest slot of this name and these arguments that still waits, due now even if it failed and paused; wakes the workers.
UPDATE job_slot SET next_attempt_at = least(next_attempt_at, now())
WHERE id = (SELECT id FROM job_slot WHERE name = :name AND arguments = :arguments::jsonb AND state = 'queued'
            ORDER BY scheduled_for DESC LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, pg_notify('trendcast_job', name)::text AS notified
