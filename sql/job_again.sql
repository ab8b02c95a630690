-- The one slot of this name and time waits once more, when it ended :pause seconds ago; wakes the workers.
UPDATE job_slot SET state = 'queued', attempts = 0, next_attempt_at = now(), error = NULL
WHERE name = :name AND scheduled_for = :scheduled_for::timestamptz AND state IN ('done', 'dead', 'skipped')
  AND finished_at <= now() - make_interval(secs => :pause)
RETURNING id, pg_notify('trendcast_job', name)::text AS notified
