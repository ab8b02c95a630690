-- Keep only the first refused rows of a rejected batch: its file is still where it was.
DELETE FROM quarantine
WHERE batch_id = :batch
  AND id NOT IN (SELECT id FROM quarantine WHERE batch_id = :batch ORDER BY row_number LIMIT :keep)
