-- Slots that failed for good in the last 60 days, newest first, and whether a later one of the same job (of uploads and
-- pushed rows: of the same ones) succeeded.
SELECT s.id, s.name, s.scheduled_for, s.attempts, s.error, s.finished_at,
       EXISTS (SELECT FROM job_slot AS later WHERE later.name = s.name AND later.state = 'done'
               AND later.finished_at > s.finished_at
               AND coalesce(later.arguments->>'file', later.arguments->>'waiting')
                   IS NOT DISTINCT FROM coalesce(s.arguments->>'file', s.arguments->>'waiting')) AS made_good
FROM job_slot AS s
WHERE s.state = 'dead' AND s.finished_at > now() - interval '60 days'
ORDER BY s.finished_at DESC, s.id DESC LIMIT :limit
