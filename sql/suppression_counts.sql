-- What the inbox does not shout about, one row: snoozed (open incidents put off to a day), suppressed (messages held back
-- in the last seven days) and holding (suppressions that hold).
SELECT (SELECT count(*) FROM incident WHERE status <> 'RESOLVED' AND snoozed_until > :today) AS snoozed,
       (SELECT count(*) FROM outbox WHERE suppressed_by IS NOT NULL AND created > :now::timestamptz - interval '7 days')
           AS suppressed,
       (SELECT count(*) FROM suppression WHERE ended_at IS NULL AND until > :now) AS holding
