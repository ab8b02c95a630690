-- Takes away pushed rows or a file that were loaded, and those of more than a week ago that no job will load any more.
DELETE FROM pushed
WHERE id = :id
   OR (created_at < now() - interval '7 days' AND NOT EXISTS (
       SELECT FROM job_slot WHERE name IN ('push', 'upload') AND state IN ('queued', 'running')
         AND (arguments->>'waiting')::bigint = pushed.id))
