-- Takes away pushed rows that were loaded, and those nobody came for within a week.
DELETE FROM pushed WHERE id = :id OR created_at < now() - interval '7 days'
