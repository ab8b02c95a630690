-- One row while the token is somebody's who is at work, kept from being taken over until the transaction ends.
SELECT id FROM job_slot WHERE lease_token = :token::uuid AND state = 'running' FOR UPDATE
