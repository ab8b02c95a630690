-- How the last attempt on a channel went.
UPDATE channel_state
SET failures = CASE WHEN :worked THEN 0 ELSE failures + 1 END,
    failing_since = CASE WHEN :worked THEN NULL ELSE coalesce(failing_since, now()) END,
    setup = :setup, last_code = :code, last_error = CASE WHEN :worked THEN NULL ELSE :answer END,
    last_ok = CASE WHEN :worked THEN now() ELSE last_ok END,
    next_probe_at = CASE WHEN :worked THEN '-infinity'::timestamptz ELSE next_probe_at END
WHERE channel = :channel
