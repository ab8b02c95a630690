-- Writes how far the slot is; touches no row when the token is no longer ours.
UPDATE job_slot SET progress = :progress::jsonb
WHERE id = :id AND lease_token = :token::uuid AND state = 'running'
