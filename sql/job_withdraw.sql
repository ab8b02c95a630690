-- Ends a slot that still waits.
UPDATE job_slot SET state = 'dead', finished_at = now(), error = 'Stopped by the person who started it.'
WHERE id = :id AND state = 'queued'
