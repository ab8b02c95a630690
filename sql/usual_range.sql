-- What one series was expected to sell on each of some days (mean): the newest forecast published from data that ended
-- before the day, while its daily rows are kept.
SELECT DISTINCT ON (f.date_id) f.date_id, f.mean
FROM run r JOIN forecast f ON f.run_id = r.id AND f.series_id = :series_id
WHERE r.status = 'ready' AND r.last_day >= CAST(:first AS date) - 91 AND r.last_day < :last
  AND f.date_id BETWEEN :first AND :last AND f.date_id > r.last_day
ORDER BY f.date_id, r.last_day DESC, r.id DESC
