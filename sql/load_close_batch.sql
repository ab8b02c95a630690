-- What became of a batch.
UPDATE load_batch
SET status = :status, reason = :reason, accepted_by = :accepted_by, first_day = :first_day, last_day = :last_day,
    sha256 = CASE WHEN :sha256_stays THEN sha256 END,
    rows_in = :rows_in, rows_ok = :rows_ok, rows_new = :rows_new, rows_changed = :rows_changed,
    rows_quarantined = :rows_quarantined,
    committed_at = CASE WHEN :status = 'merged' THEN clock_timestamp() END
WHERE id = :batch
