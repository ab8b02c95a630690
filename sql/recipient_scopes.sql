-- Names a recipient's scope can have: what ('category' or 'region') and name, of all series ever seen.
SELECT 'category' AS what, product_category AS name FROM series WHERE product_category <> ''
UNION
SELECT 'region', region FROM series WHERE region <> ''
ORDER BY what, name
