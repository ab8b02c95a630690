-- Earlier incidents of the same node and direction, the newest first: first_day, headline, disposition, status.
SELECT o.episode_start AS first_day, o.headline, o.disposition, o.status, o.note, o.id AS incident_id
FROM incident i JOIN incident o ON o.group_key = i.group_key AND o.episode_start < i.episode_start
WHERE i.id = :id
ORDER BY o.episode_start DESC LIMIT 5
