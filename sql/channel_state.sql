-- How each channel does, and how much waits on it: channel, failures, failing_since, setup, last_code, last_error, last_ok,
-- waiting, urgent_since (the oldest unsent HIGH message), dead.
SELECT c.channel, c.failures, c.failing_since, c.setup, c.last_code, c.last_error, c.last_ok,
       count(o.id) FILTER (WHERE o.status IN ('PENDING', 'SENDING', 'UNKNOWN')) AS waiting,
       min(o.created) FILTER (WHERE o.status IN ('PENDING', 'SENDING', 'UNKNOWN') AND o.impact = 0) AS urgent_since,
       count(o.id) FILTER (WHERE o.status = 'DEAD' AND o.created > now() - interval '7 days') AS dead
FROM channel_state c LEFT JOIN outbox o ON o.channel = c.channel
GROUP BY c.channel
ORDER BY c.channel
