-- What waits for a person: jobs that failed for good since :since and were not made good by a later one of their kind (of
-- uploads and pushed rows: of the same), and loads that are held. what ('job' or 'load'), id, name (of the job, of the
-- table), at, reason, source (of the load, of an uploaded file).
SELECT 'job' AS what, s.id, s.name, s.finished_at AS at, s.error AS reason, coalesce(s.arguments->>'file', '') AS source
FROM job_slot AS s
WHERE s.state = 'dead' AND s.finished_at > :since AND s.name = ANY(:names)
  AND NOT EXISTS (SELECT FROM job_slot AS later
                  WHERE later.name = s.name AND later.state = 'done' AND later.finished_at > s.finished_at
                    AND coalesce(later.arguments->>'file', later.arguments->>'waiting')
                        IS NOT DISTINCT FROM coalesce(s.arguments->>'file', s.arguments->>'waiting'))
UNION ALL
SELECT 'load', id, table_name, created_at, reason, source FROM load_batch WHERE status = 'held' AND created_at > :since
ORDER BY at, id
