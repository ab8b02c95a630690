-- Changes what a recipient hears of, within its scope, or ends it (active false); returns nothing.
UPDATE recipient SET impact_level = :impact_level, digest = :digest, active = :active WHERE id = :id
