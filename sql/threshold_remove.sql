-- Takes one figure back; returns what it was, nothing when there is none of this id.
DELETE FROM threshold WHERE id = :id RETURNING name, level, product_category, region, store, value
