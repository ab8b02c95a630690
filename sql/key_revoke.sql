-- Ends the valid key of this name; its id, or no row.
UPDATE api_key SET revoked_at = :now WHERE name = :name AND revoked_at IS NULL AND expires_at > :now
RETURNING id
