-- Whether pushes or uploads of this table still wait or are at work.
SELECT EXISTS (SELECT FROM job_slot WHERE name IN ('push', 'upload') AND state IN ('queued', 'running')
               AND arguments->>'table' = :table) AS open
