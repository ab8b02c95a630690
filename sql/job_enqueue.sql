-- The id of the slot made; no row when (name, scheduled_for) exists. Without a time it is due now. Wakes the workers.
WITH made AS (
    INSERT INTO job_slot (name, scheduled_for, arguments, next_attempt_at)
    VALUES (:name, coalesce(:scheduled_for::timestamptz, clock_timestamp()), :arguments::jsonb,
            greatest(:scheduled_for::timestamptz, now()))
    ON CONFLICT (name, scheduled_for) DO NOTHING
    RETURNING id
)
SELECT id, pg_notify('trendcast_job', :name)::text AS notified FROM made
