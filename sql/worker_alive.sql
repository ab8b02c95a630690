-- Whether a worker does due jobs: one holds the ticker's lease, or is in the middle of a job; and when one was last seen,
-- null for never.
SELECT EXISTS (SELECT FROM lease WHERE name = 'ticker' AND lease_until >= now())
    OR EXISTS (SELECT FROM job_slot WHERE state = 'running' AND lease_until >= now()) AS alive,
       (SELECT least(lease_until, now()) FROM lease WHERE name = 'ticker') AS seen
