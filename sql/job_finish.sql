-- Ends the slot well, with its result; once more under the same token is no harm: work may end its slot in the transaction
-- of what it writes. Touches no row when the token is no longer ours.
UPDATE job_slot SET
    state = 'done', finished_at = now(), lease_until = '-infinity', error = NULL,
    progress = progress || jsonb_build_object('result', :result::jsonb)
WHERE id = :id AND lease_token = :token::uuid AND state IN ('running', 'done')
