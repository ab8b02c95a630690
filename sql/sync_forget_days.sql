-- Forget days the source no longer has.
DELETE FROM sync_day WHERE source = :source AND day = ANY(CAST(:days AS text[]))
