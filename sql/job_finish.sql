-- Ends the slot well, with its result; touches no row when the token is no longer ours.
UPDATE job_slot SET
    state = 'done', finished_at = now(), lease_until = '-infinity', error = NULL,
    progress = progress || jsonb_build_object('result', :result::jsonb)
WHERE id = :id AND lease_token = :token::uuid AND state = 'running'
