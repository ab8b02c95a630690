-- The lease of this name, ours for :seconds, when nobody else holds it or we do already; no row otherwise.
INSERT INTO lease (name, holder, lease_token, lease_until)
VALUES (:name, :holder, :token::uuid, now() + interval '1 s' * :seconds)
ON CONFLICT (name) DO UPDATE
    SET holder = excluded.holder, lease_token = excluded.lease_token, lease_until = excluded.lease_until
    WHERE lease.lease_until < now() OR lease.lease_token = excluded.lease_token
RETURNING lease_token::text AS token
