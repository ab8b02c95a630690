-- Sets one figure for one node; returns its id and what it was before (null: not set).
WITH was AS (
    SELECT id, value FROM threshold
    WHERE name = :name AND level = :level AND product_category = :product_category AND region = :region AND store = :store
), put AS (
    INSERT INTO threshold (name, level, product_category, region, store, value, reason, set_by, set_at)
    VALUES (:name, :level, :product_category, :region, :store, :value, :reason, :who, :at)
    ON CONFLICT (name, level, product_category, region, store) DO UPDATE
    SET value = excluded.value, reason = excluded.reason, set_by = excluded.set_by, set_at = excluded.set_at
    RETURNING id
)
SELECT put.id, was.value AS before FROM put LEFT JOIN was ON was.id = put.id
