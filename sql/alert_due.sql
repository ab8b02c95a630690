-- Incidents of which something is to be told now, and why: first, worse, wider, reminder or resolved. Locked, so that two
-- processes tell it once. Only what is or was HIGH is mailed at once; the rest is for the digest.
WITH judged AS (
    SELECT i.*, CASE
        WHEN (i.told IS NULL OR i.told ->> 'reason' = 'reopened') AND i.status = 'NEW' AND i.impact = 'HIGH' THEN 'first'
        WHEN i.told IS NULL OR i.told ->> 'reason' = 'reopened' THEN NULL
        -- Of an end hears who heard of the beginning.
        WHEN i.status = 'RESOLVED' AND i.told ->> 'status' <> 'RESOLVED' AND i.told ->> 'reason' <> 'hushed'
             THEN 'resolved'
        WHEN i.status = 'RESOLVED' THEN NULL
        WHEN i.impact = 'HIGH' AND i.told ->> 'impact' <> 'HIGH' THEN 'worse'
        WHEN i.members >= 2 * (i.told ->> 'members')::int THEN 'wider'
        WHEN i.status = 'NEW' AND (i.told ->> 'at')::timestamptz < :now - :remind * interval '1 hour'
             AND i.told ->> 'reason' NOT IN ('reminder', 'hushed') THEN 'reminder'
    END AS reason
    FROM incident i
    WHERE (i.snoozed_until IS NULL OR i.snoozed_until <= :today) AND (i.status <> 'RESOLVED' OR i.told IS NOT NULL)
    FOR UPDATE OF i SKIP LOCKED
)
SELECT id, reason, impact, kind, status, headline, loss, members, parent_node, episode_start, note, told
FROM judged
WHERE reason IS NOT NULL
ORDER BY array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], impact), abs(coalesce(loss, 0)) DESC, id
