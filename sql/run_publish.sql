-- The run becomes ready if, and only if, the job that built it still holds its lease; returns its id.
UPDATE run SET status = 'ready', published_at = now(), n_series = :n_series, summary = :summary
WHERE id = :run_id AND status = 'building' AND lease_token = CAST(:token AS uuid)
  AND EXISTS (SELECT FROM job_slot s WHERE s.lease_token = run.lease_token AND s.state = 'running')
RETURNING id
