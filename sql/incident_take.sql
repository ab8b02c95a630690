-- One incident as it stands, kept from other moves until the transaction ends.
SELECT id, status, version, owner, snoozed_until, disposition, note, acked_by, acked_at, resolved_by, resolved_at,
       episode_start, headline
FROM incident WHERE id = :id FOR UPDATE
