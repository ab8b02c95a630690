-- Holds the slot for another 90 s, also one whose work has ended it already; touches no row when the token is no longer
-- ours.
UPDATE job_slot SET lease_until = now() + interval '90 s'
WHERE id = :id AND lease_token = :token::uuid AND state IN ('running', 'done')
