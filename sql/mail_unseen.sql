-- What nobody has acknowledged yet and is not snoozed, one row: incidents, the hours the oldest and the middle one wait.
SELECT count(*) AS incidents, extract(epoch FROM :now::timestamptz - min(created_at)) / 3600 AS oldest_hours,
       extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY :now::timestamptz - created_at)) / 3600 AS middle_hours
FROM incident
WHERE status = 'NEW' AND (snoozed_until IS NULL OR snoozed_until <= :today)
