-- The next due slot, now ours for 90 s under a new token; nothing when none is due. With :id only that one, with :names
-- only of those. Of the names in :alone no second slot starts while one is at work, and no push or upload of a table while
-- an older one of that table is open: the values that came last stay.
UPDATE job_slot SET
    state = 'running', attempts = attempts + 1, lease_token = gen_random_uuid(),
    lease_until = now() + interval '90 s', started_at = now(), finished_at = NULL, progress = '{}'
WHERE id = (
    SELECT due.id FROM job_slot AS due
    WHERE due.attempts < 3
      AND ((due.state = 'queued' AND due.next_attempt_at <= now())
        OR (due.state = 'running' AND due.lease_until < now()))
      AND (:id::bigint IS NULL OR due.id = :id)
      AND (:names::text[] IS NULL OR due.name = ANY(:names::text[]))
      AND NOT (due.name = ANY(:alone::text[]) AND EXISTS (
          SELECT FROM job_slot AS other
          WHERE other.name = due.name AND other.id <> due.id AND other.state = 'running' AND other.lease_until >= now()))
      AND NOT (due.name IN ('push', 'upload') AND EXISTS (
          SELECT FROM job_slot AS older
          WHERE older.name IN ('push', 'upload') AND older.id < due.id AND older.state IN ('queued', 'running')
            AND older.arguments->>'table' = due.arguments->>'table'))
    ORDER BY due.scheduled_for
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING id, name, arguments, attempts, lease_token::text AS token, scheduled_for
