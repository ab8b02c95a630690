-- Incidents that are open and not snoozed, the most urgent and costly first.
SELECT id, impact, kind, status, headline, loss, members, parent_node, episode_start, note
FROM incident
WHERE status <> 'RESOLVED' AND (snoozed_until IS NULL OR snoozed_until <= :today)
ORDER BY array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], impact), abs(coalesce(loss, 0)) DESC, id
