-- Gives the lease back when it is ours.
DELETE FROM lease WHERE name = :name AND lease_token = :token::uuid
