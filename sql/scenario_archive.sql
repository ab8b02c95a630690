-- Puts a scenario aside; touches no row when it is aside already or unknown.
UPDATE scenario SET archived_at = now() WHERE id = :id AND archived_at IS NULL
