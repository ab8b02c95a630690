-- All series ever forecast.
SELECT id, level, product_category, region, store FROM series
