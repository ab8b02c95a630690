-- The first refused rows of a batch: row (its number in what was sent), reason.
SELECT row_number AS row, reason FROM quarantine WHERE batch_id = :batch ORDER BY row_number LIMIT :limit
