-- A building run becomes failed, with the reason.
UPDATE run SET status = 'failed', error = :error WHERE id = :run_id AND status = 'building'
