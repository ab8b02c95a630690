-- What is planned after a day for some categories and regions (an empty list: all): share on promotion, events.
SELECT coalesce(p.date_id, e.date_id) AS date_id, p.promotion_flag, e.seasonal_events
FROM (
    SELECT l.date_id, avg(l.promotion_flag::int::double precision) AS promotion_flag
    FROM plan_daily l
    WHERE l.date_id > :last_day
      AND (CAST(:categories AS text[]) = '{}' OR l.product_category = ANY(CAST(:categories AS text[])))
      AND (CAST(:regions AS text[]) = '{}' OR l.region = ANY(CAST(:regions AS text[])))
    GROUP BY l.date_id
) p
FULL JOIN (
    SELECT v.date_id, string_agg(DISTINCT v.event, ', ' ORDER BY v.event) AS seasonal_events
    FROM known_events v
    WHERE v.date_id > :last_day
      AND (CAST(:regions AS text[]) = '{}' OR v.region = '' OR v.region = ANY(CAST(:regions AS text[])))
    GROUP BY v.date_id
) e ON e.date_id = p.date_id
ORDER BY 1
