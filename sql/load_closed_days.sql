-- Days on which no rows are to be expected: closed everywhere by plan, or an event on whose every past day nothing was
-- recorded.
SELECT p.date_id AS day
FROM plan_daily p
WHERE p.date_id BETWEEN :first AND :last
GROUP BY p.date_id
HAVING bool_and(p.open_flag IS FALSE)
UNION
SELECT e.date_id
FROM events e
WHERE e.date_id BETWEEN :first AND :last AND e.region = ''
  AND EXISTS (
      SELECT FROM events b
      WHERE b.event = e.event AND b.region = '' AND b.date_id < :first
        AND b.date_id > (SELECT min(s.date_id) FROM sales_daily s)
  )
  AND NOT EXISTS (
      SELECT FROM events b JOIN sales_daily s ON s.date_id = b.date_id
      WHERE b.event = e.event AND b.region = '' AND b.date_id < :first
  )
