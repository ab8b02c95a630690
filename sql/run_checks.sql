-- What is wrong with a run's rows; every column must be 0, except `forecast_rows`, `week_rows` and `days`.
WITH daily AS (
    SELECT count(*) AS forecast_rows, count(DISTINCT date_id) AS days,
           -- NaN sorts above infinity, so one comparison finds both.
           count(*) FILTER (WHERE NOT (mean < 'infinity' AND q025 < 'infinity' AND q975 < 'infinity')) AS not_finite,
           count(*) FILTER (WHERE mean < 0 OR q025 < 0) AS negative,
           count(*) FILTER (WHERE NOT (q025 <= q05 AND q05 <= q10 AND q10 <= q25 AND q25 <= q50 AND q50 <= q75
                                       AND q75 <= q90 AND q90 <= q95 AND q95 <= q975)) AS not_monotone
    FROM forecast WHERE run_id = :run_id
), weekly AS (
    SELECT count(*) AS week_rows,
           count(*) FILTER (WHERE NOT (mean < 'infinity' AND q975 < 'infinity' AND mean >= 0 AND q025 >= 0
                                       AND q025 <= q05 AND q05 <= q10 AND q10 <= q25 AND q25 <= q50 AND q50 <= q75
                                       AND q75 <= q90 AND q90 <= q95 AND q95 <= q975)) AS weeks_wrong
    FROM forecast_week WHERE run_id = :run_id
), sums AS (
    SELECT f.date_id, s.level, sum(f.mean) AS total
    FROM forecast f JOIN series s ON s.id = f.series_id
    WHERE f.run_id = :run_id GROUP BY f.date_id, s.level
), gaps AS (
    SELECT count(*) AS not_adding_up
    FROM sums JOIN sums top ON top.date_id = sums.date_id AND top.level = 'total'
    WHERE abs(sums.total - top.total) > 1e-6 * greatest(1, top.total)
)
SELECT * FROM daily, weekly, gaps
