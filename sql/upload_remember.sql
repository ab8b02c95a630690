-- Keeps how the columns of files with this header are understood.
INSERT INTO upload_mapping (shape, mapping, file_name, used_by)
VALUES (:shape, CAST(:mapping AS jsonb), :file_name, :used_by)
ON CONFLICT (shape) DO UPDATE
SET mapping = excluded.mapping, file_name = excluded.file_name, used_by = excluded.used_by, used_at = now()
