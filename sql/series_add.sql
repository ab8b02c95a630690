-- Adds series not known yet.
INSERT INTO series (level, product_category, region, store)
SELECT * FROM unnest(CAST(:levels AS text[]), CAST(:categories AS text[]), CAST(:regions AS text[]),
                     CAST(:stores AS text[]))
ON CONFLICT DO NOTHING
