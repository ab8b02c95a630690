-- The slot of this name and time.
SELECT id FROM job_slot WHERE name = :name AND scheduled_for = :scheduled_for::timestamptz
