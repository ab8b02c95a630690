-- The newest job of a file that this person left to a worker, of the last day.
SELECT id FROM job_slot
WHERE name = 'upload' AND arguments->>'who' = :who AND created_at > now() - interval '1 day'
ORDER BY id DESC LIMIT 1
