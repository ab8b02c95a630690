-- Runs left building by a process that died, or lost its lease :grace seconds ago, become failed; returns their ids.
UPDATE run SET status = 'failed', error = 'The process that built it ended before it was published.'
WHERE status = 'building'
  AND NOT EXISTS (SELECT FROM job_slot s
                  WHERE s.lease_token = run.lease_token AND s.state = 'running'
                    AND s.lease_until > now() - make_interval(secs => :grace))
RETURNING id
