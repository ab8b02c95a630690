-- What the suppressions that hold now match: matcher.
SELECT matcher FROM suppression WHERE ended_at IS NULL AND until > now()
