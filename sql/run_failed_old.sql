-- Failed runs older than 30 days.
SELECT id FROM run WHERE status = 'failed' AND created_at < now() - interval '30 days'
