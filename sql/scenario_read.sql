-- One scenario, archived or not.
SELECT s.id, s.name, s.note, s.created_by, s.created_at, s.run_id, r.last_day, s.level, s.product_category, s.region,
       s.store, s.drivers, s.result, s.archived_at
FROM scenario s LEFT JOIN run r ON r.id = s.run_id
WHERE s.id = :id
