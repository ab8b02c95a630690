-- The newest scenarios that are not archived, newest first, with the last day of their baseline (NULL once it is gone).
SELECT s.id, s.name, s.note, s.created_by, s.created_at, s.run_id, r.last_day, s.level, s.product_category, s.region,
       s.store, s.drivers, s.result
FROM scenario s LEFT JOIN run r ON r.id = s.run_id
WHERE s.archived_at IS NULL
ORDER BY s.created_at DESC, s.id DESC
LIMIT :limit
