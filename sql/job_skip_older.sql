-- Skips what a schedule left waiting before this slot: after a downtime one is caught up, not all.
UPDATE job_slot AS older SET state = 'skipped', finished_at = now()
FROM job_slot AS newer
WHERE newer.id = :id AND older.name = newer.name AND older.arguments = newer.arguments
  AND older.state = 'queued' AND older.scheduled_for < newer.scheduled_for
