-- Events that touch the regions of a selection, past and future: of all regions at once when none is named.
SELECT date_id, string_agg(DISTINCT event, ' · ' ORDER BY event) AS events
FROM known_events
WHERE (CAST(:regions AS text[]) = '{}' OR region = '' OR region = ANY(:regions))
  AND date_id BETWEEN :from_day AND :to_day
GROUP BY date_id ORDER BY date_id
