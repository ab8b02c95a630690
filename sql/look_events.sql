-- Events by name that touch at least half of the given regions, past and future.
SELECT date_id, event FROM known_events
WHERE date_id BETWEEN :from_day AND :to_day AND (region = '' OR region = ANY(:regions))
GROUP BY date_id, event
HAVING bool_or(region = '') OR 2 * count(DISTINCT region) >= cardinality(CAST(:regions AS text[]))
ORDER BY event, date_id
