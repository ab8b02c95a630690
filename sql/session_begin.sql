-- A signed-in person's session; returns nothing.
INSERT INTO person_session (id, person, role, address, started_at, seen_at, expires_at)
VALUES (CAST(:id AS uuid), :person, :role, nullif(:request_address, ''), :now, :now, :expires)
