-- How the last attempt on a channel went; one that failed :limit times in a row is given up but for a probe after :pause
-- seconds. With its first success everything that waits because of it is due at once; what the server itself put off (a
-- 4xx answer) waits on.
WITH before AS (
    SELECT channel, failures FROM channel_state WHERE channel = :channel FOR UPDATE
), noted AS (
    UPDATE channel_state c
    SET failures = CASE WHEN :worked THEN 0 ELSE c.failures + 1 END,
        failing_since = CASE WHEN :worked THEN NULL ELSE coalesce(c.failing_since, now()) END,
        setup = :setup, last_code = :code, last_error = CASE WHEN :worked THEN NULL ELSE :answer END,
        last_ok = CASE WHEN :worked THEN now() ELSE c.last_ok END,
        next_probe_at = CASE WHEN :worked OR c.failures + 1 < :limit THEN '-infinity'::timestamptz
                             ELSE now() + :pause * interval '1 second' END
    FROM before WHERE c.channel = before.channel
)
UPDATE outbox o SET next_attempt_at = now()
FROM before
WHERE :worked AND before.failures >= :limit AND o.channel = before.channel AND o.status IN ('PENDING', 'UNKNOWN')
  AND o.next_attempt_at > now() AND (o.last_code IS NULL OR o.last_code NOT BETWEEN 400 AND 499)
