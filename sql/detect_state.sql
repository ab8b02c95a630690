-- All that a detection must know before it reads sales, in one row: what was checked last, which data there are, the
-- recent entries and verdicts, events, limits and costs. Null dates when nothing is loaded.
WITH bounds AS (
    SELECT (SELECT min(date_id) FROM sales_daily) AS first_sale,
           (SELECT max(date_id) FROM sales_daily WHERE date_id <= coalesce(:as_of::date, 'infinity')) AS last_sale,
           (SELECT max(id) FROM load_batch WHERE status = 'merged') AS data_version
), checked AS (
    SELECT as_of, data_version, finished, summary
    FROM detection_run
    WHERE status = 'done' AND scope = ''
    ORDER BY as_of DESC, data_version DESC, id DESC LIMIT 1
)
SELECT b.first_sale, b.last_sale, coalesce(b.data_version, 0) AS data_version,
       (SELECT committed_at FROM load_batch WHERE id = b.data_version) AS data_available_at,
       (SELECT (coalesce(l.committed_at, now()))::date - b.last_sale
        FROM load_batch l WHERE l.status = 'merged' AND l.table_name = 'sales_daily' AND l.last_day >= b.last_sale
        ORDER BY l.id LIMIT 1) AS days_old_when_loaded,
       (SELECT l.committed_at FROM load_batch l
        WHERE l.status = 'merged' AND l.table_name = 'sales_daily' AND l.last_day >= b.last_sale
        ORDER BY l.id LIMIT 1) AS last_sale_came,
       (SELECT count(*) FROM sales_daily WHERE date_id = b.last_sale) AS rows_a_day,
       (SELECT as_of FROM checked) AS checked_until,
       (SELECT data_version FROM checked) AS checked_version,
       (SELECT (summary ->> 'looked_to')::date FROM checked) AS looked_to,
       (SELECT (summary ->> 'waits_until')::timestamptz FROM checked) AS waits_until,
       (SELECT level FROM (
            SELECT CASE WHEN max(store) <> '' THEN 'category_store' WHEN max(region) <> '' THEN 'category_region'
                        ELSE 'category' END AS level
            FROM sales_daily WHERE date_id = b.last_sale) bottom) AS level,
       (SELECT coalesce(json_agg(json_build_array(e.date_id, e.region, e.event)), '[]')
        FROM known_events e WHERE e.date_id <= b.last_sale + 1) AS events,
       (SELECT coalesce(json_agg(json_build_array(t.name, t.level, t.product_category, t.region, t.store, t.value)
                                 ORDER BY t.id), '[]')
        FROM threshold t WHERE t.name IN ('high_loss', 'least_change', 'least_units', 'false_rate')) AS limits,
       (SELECT coalesce(json_agg(json_build_array(p.product_category, p.unit_cost)), '[]')
        FROM item_params p WHERE p.unit_cost IS NOT NULL) AS costs,
       (SELECT coalesce(json_agg(json_build_object(
            'level', a.level, 'product_category', a.product_category, 'region', a.region, 'store', a.store,
            'kind', a.kind, 'class', a.class, 'direction', a.direction, 'episode_start', a.episode_start,
            'status', a.status, 'disposition', a.disposition, 'note', a.note, 'cause', a.cause, 'lead', a.lead,
            'explanation', a.explanation, 'group_key', i.group_key, 'group_start', i.episode_start,
            'verdict_day', (coalesce(a.resolved_at, a.acked_at))::date,
            'incident_id', i.id) ORDER BY a.id), '[]')
        FROM anomaly_log a LEFT JOIN incident i ON i.id = a.incident_id
        WHERE a.last_day > b.last_sale - :back
           OR (a.disposition IS NOT NULL AND a.last_day > b.last_sale - :verdicts)) AS entries
FROM bounds b
