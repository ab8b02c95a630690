-- Gives a slot back as it was before this attempt, which does not count; due in 30 s. Touches no row when the token is no
-- longer ours.
UPDATE job_slot SET state = 'queued', attempts = attempts - 1, next_attempt_at = now() + interval '30 s',
    lease_until = '-infinity'
WHERE id = :id AND lease_token = :token::uuid AND state = 'running'
