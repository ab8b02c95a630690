-- Keeps a scenario; returns its id.
INSERT INTO scenario (name, run_id, level, product_category, region, store, drivers, result, note, created_by)
VALUES (:name, :run_id, :level, :product_category, :region, :store, :drivers, :result, :note, :created_by)
RETURNING id
