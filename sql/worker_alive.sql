-- Whether a worker does due jobs: one holds the ticker's lease, or is in the middle of a job.
SELECT EXISTS (SELECT FROM lease WHERE name = 'ticker' AND lease_until >= now())
    OR EXISTS (SELECT FROM job_slot WHERE state = 'running' AND lease_until >= now()) AS alive
