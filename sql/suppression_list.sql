-- Suppressions that hold, those that end first on top: id, matcher, until, reason, who, created_at; mails: how many
-- messages each has held back.
SELECT s.id, s.matcher, s.until, s.reason, s.who, s.created_at,
       (SELECT count(*) FROM outbox o WHERE o.suppressed_by = s.id) AS mails
FROM suppression s
WHERE s.ended_at IS NULL AND s.until > :now
ORDER BY s.until, s.id
