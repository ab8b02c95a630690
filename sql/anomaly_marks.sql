-- The entries of exactly these series, with the days they were notable in their explanation. A series that a level has under
-- another name (a store that sells one category) has the entries of both: levels are the same in a run when they part its
-- bottom series alike.
WITH bottom AS MATERIALIZED (
    SELECT s.product_category, s.region, s.store, s.level
    FROM run_series r JOIN series s ON s.id = r.series_id
    WHERE r.run_id = :run AND s.level = (
        SELECT x.level FROM run_series y JOIN series x ON x.id = y.series_id WHERE y.run_id = :run
        GROUP BY x.level
        ORDER BY array_position(ARRAY['category_store', 'category_region', 'category'], x.level) LIMIT 1)
), sizes AS (
    SELECT v.level, v.nodes
    FROM (SELECT count(DISTINCT region) AS regions, count(DISTINCT (region, store)) AS stores,
                 count(DISTINCT product_category) AS categories,
                 count(DISTINCT (product_category, region)) AS category_regions, count(*) AS every
          FROM bottom) c
    CROSS JOIN LATERAL (VALUES ('total', 1), ('region', c.regions), ('store', c.stores), ('category', c.categories),
        ('category_region', c.category_regions), ('category_store', c.every)) AS v (level, nodes)
), pairs (one, other, joined) AS (
    VALUES ('total', 'region', 'region'), ('total', 'store', 'store'), ('total', 'category', 'category'),
        ('total', 'category_region', 'category_region'), ('total', 'category_store', 'category_store'),
        ('region', 'store', 'store'), ('region', 'category', 'category_region'),
        ('region', 'category_region', 'category_region'), ('region', 'category_store', 'category_store'),
        ('store', 'category', 'category_store'), ('store', 'category_region', 'category_store'),
        ('store', 'category_store', 'category_store'), ('category', 'category_region', 'category_region'),
        ('category', 'category_store', 'category_store'), ('category_region', 'category_store', 'category_store')
), twins AS (
    SELECT p.one, p.other FROM pairs p
    JOIN sizes a ON a.level = p.one JOIN sizes b ON b.level = p.other JOIN sizes j ON j.level = p.joined
    WHERE a.nodes = b.nodes AND b.nodes = j.nodes
), found AS (
    SELECT a.id FROM series s
    JOIN anomaly_log a ON a.level = s.level AND a.product_category = s.product_category AND a.region = s.region
                      AND a.store = s.store
    WHERE s.id = ANY(:series_ids)
    UNION
    SELECT a.id FROM series s
    JOIN twins t ON s.level IN (t.one, t.other)
    JOIN bottom b ON s.product_category IN ('', b.product_category) AND s.region IN ('', b.region)
                 AND s.store IN ('', b.store)
    JOIN anomaly_log a ON a.level = CASE WHEN s.level = t.one THEN t.other ELSE t.one END
                      AND a.product_category IN ('', b.product_category) AND a.region IN ('', b.region)
                      AND a.store IN ('', b.store)
    WHERE s.id = ANY(:series_ids)
)
SELECT a.explanation, a.impact_level AS impact, a.direction, a.class, a.kind, a.incident_id, a.status, a.disposition,
       a.note, coalesce(i.headline, '') AS headline
FROM found JOIN anomaly_log a USING (id)
LEFT JOIN incident i ON i.id = a.incident_id
ORDER BY a.detected_date
