-- Ends a suppression now; its matcher, no row when it does not hold any more.
UPDATE suppression SET ended_at = :now WHERE id = :id AND ended_at IS NULL AND until > :now RETURNING matcher, reason
