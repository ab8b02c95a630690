-- Incidents of which something is to be told now, and why: first, worse, wider, reminder, awake (a snooze ended) or
-- resolved. Only what is or was HIGH is mailed at once; the rest is for the digest. Those with a reason are locked, so that
-- two processes tell it once, and no others: the reason is looked at again when the lock is there. A snooze keeps silent
-- unless it gets worse than it was then.
SELECT i.id, judged.reason, i.impact, i.kind, i.status, i.headline, i.loss, i.members, i.parent_node, i.episode_start,
       i.note, i.told, coalesce(i.snoozed_until > :today, false) AS asleep
FROM incident i
CROSS JOIN LATERAL (SELECT CASE
    WHEN i.snoozed_until > :today THEN
        CASE WHEN i.status <> 'RESOLVED' AND i.impact = 'HIGH' AND 'HIGH' <> (
            SELECT e.details ->> 'impact' FROM anomaly_event e
            WHERE e.incident_id = i.id AND e.action = 'snooze' ORDER BY e.id DESC LIMIT 1) THEN 'worse' END
    WHEN i.told IS NULL OR i.told ->> 'reason' = 'reopened' THEN
        CASE WHEN i.status = 'NEW' AND i.impact = 'HIGH' THEN 'first' END
    -- Of an end hears who heard of the beginning.
    WHEN i.status = 'RESOLVED' THEN
        CASE WHEN i.told ->> 'status' <> 'RESOLVED' AND i.told ->> 'reason' <> 'hushed' THEN 'resolved' END
    WHEN i.impact <> 'HIGH' THEN NULL
    WHEN i.told ->> 'impact' <> 'HIGH' THEN 'worse'
    WHEN i.members >= 2 * (i.told ->> 'members')::int THEN 'wider'
    WHEN (i.told ->> 'at')::timestamptz AT TIME ZONE :zone < i.snoozed_until THEN 'awake'
    -- Of what had no mail of its own nobody is reminded: one mail stood for it, or the digest has it.
    WHEN i.status = 'NEW' AND (i.told ->> 'at')::timestamptz < :now - :remind * interval '1 hour'
         AND i.told ->> 'reason' NOT IN ('reminder', 'hushed', 'storm', 'digest') THEN 'reminder'
END AS reason) judged
WHERE judged.reason IS NOT NULL AND (i.status <> 'RESOLVED' OR i.told IS NOT NULL)
ORDER BY array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], i.impact), abs(coalesce(i.loss, 0)) DESC, i.id
FOR UPDATE OF i SKIP LOCKED
