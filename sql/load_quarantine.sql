-- The refused rows of a batch, as they came, with the reason of each.
SELECT row_number, raw, reason FROM quarantine WHERE batch_id = :batch ORDER BY row_number LIMIT :limit
