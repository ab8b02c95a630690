-- Ends an attempt: queued again after 30 s, 2 min, ... (half to one and a half of that), or dead after the third, or at once
-- when a repeat cannot help. The state it now has; no row when the token is no longer ours.
UPDATE job_slot SET
    state = CASE WHEN :again AND attempts < 3 THEN 'queued' ELSE 'dead' END,
    next_attempt_at = now() + interval '30 s' * power(4, attempts - 1) * (0.5 + random()),
    finished_at = CASE WHEN :again AND attempts < 3 THEN NULL ELSE now() END,
    lease_until = '-infinity', error = :error
WHERE id = :id AND lease_token = :token::uuid AND state = 'running'
RETURNING state
