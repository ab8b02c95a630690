-- What was published before each day of a window, one row per bottom series: days packed as in detect_window, the mean and
-- the run behind it. Of several runs of the same data the newest counts.
WITH chosen AS (
    SELECT d.day::date AS day, r.id
    FROM generate_series(:first::date, :last::date, interval '1 day') AS d (day)
    CROSS JOIN LATERAL (
        SELECT run.id FROM run
        WHERE run.status = 'ready' AND run.last_day < d.day::date AND run.last_day + run.horizon >= d.day::date
          AND EXISTS (SELECT FROM forecast f WHERE f.run_id = run.id)
        ORDER BY run.last_day DESC, run.id DESC LIMIT 1
    ) r
), spans AS MATERIALIZED (
    SELECT id, min(day) AS first, max(day) AS last FROM chosen GROUP BY id
)
SELECT s.product_category, s.region, s.store,
       string_agg(int4send((f.date_id - :first::date) * 16) || float8send(f.mean) || float8send(spans.id), ''::bytea)
           AS days
FROM spans
CROSS JOIN series s
CROSS JOIN LATERAL (
    SELECT date_id, mean FROM forecast
    WHERE run_id = spans.id AND series_id = s.id AND date_id BETWEEN spans.first AND spans.last
    OFFSET 0
) f
WHERE s.level = :level
GROUP BY s.id
