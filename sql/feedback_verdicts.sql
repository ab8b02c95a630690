-- What people found incidents to be in the last days before the newest sales: of the entry each is about, level, class,
-- the most that was expected of its days, the verdict and how many days ago it was given.
WITH newest AS (
    SELECT max(date_id) AS day FROM sales_daily
)
SELECT a.level, a.class, a.disposition, newest.day - (coalesce(a.resolved_at, a.acked_at))::date AS days,
       (SELECT max((d ->> 'expected')::float8) FROM jsonb_array_elements(a.explanation -> 'days') AS d) AS expected
FROM anomaly_log a CROSS JOIN newest
WHERE a.lead AND a.disposition IS NOT NULL AND a.last_day > newest.day - :verdicts
  AND coalesce(a.resolved_at, a.acked_at) IS NOT NULL
ORDER BY a.id
