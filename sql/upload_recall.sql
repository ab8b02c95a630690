-- How the columns of files with this header were understood last time.
SELECT mapping, file_name, used_by, used_at FROM upload_mapping WHERE shape = :shape
