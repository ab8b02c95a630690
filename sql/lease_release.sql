-- Gives the lease back when it is ours; the row stays and says when its holder was last seen.
UPDATE lease SET lease_until = now() - interval '1 s' WHERE name = :name AND lease_token = :token::uuid
