-- Declares dead what was lost in its third attempt; the slots concerned.
UPDATE job_slot SET
    state = 'dead', finished_at = now(),
    error = coalesce(error || ' ', '') || 'The process at work disappeared in the last of 3 attempts.'
WHERE state = 'running' AND lease_until < now() AND attempts >= 3
RETURNING id, name, scheduled_for, error
