-- Addresses the mail server refused for good in the last 30 days and has taken nothing for since, the longest refused first:
-- recipient, since (the first such message), messages, code and error of the newest.
SELECT recipient, min(created) AS since, count(*) AS messages,
       (array_agg(last_code ORDER BY id DESC))[1] AS code, (array_agg(last_error ORDER BY id DESC))[1] AS error
FROM outbox o
WHERE channel = 'email' AND status = 'DEAD' AND attempts > 0 AND last_code BETWEEN 500 AND 599
  AND created > now() - interval '30 days'
  AND id > coalesce((SELECT max(s.id) FROM outbox s
                     WHERE s.channel = 'email' AND s.status = 'SENT' AND s.recipient = o.recipient), 0)
GROUP BY recipient
ORDER BY since, recipient
