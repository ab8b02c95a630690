-- Scores logged weeks with the truth that arrived, or was corrected: accuracy 1 - |error| / actual, floored at 0. NULL is
-- a truth that is known no more, as the data were found to be wrong.
UPDATE forecast_log l
SET actual = t.actual,
    forecast_accuracy = CASE WHEN t.actual > 0 THEN greatest(0, 1 - abs(l.mean - t.actual) / t.actual) END,
    bias = CASE WHEN t.actual > 0 THEN (l.mean - t.actual) / t.actual END,
    scored_at = coalesce(l.scored_at, now())
FROM unnest(CAST(:series_ids AS int[]), CAST(:weeks AS date[]), CAST(:actuals AS double precision[]))
     AS t (series_id, week, actual)
WHERE l.series_id = t.series_id AND l.week = t.week AND l.actual IS DISTINCT FROM t.actual
