-- The packed decomposition of some series of some runs, where it is still kept, with each run's first and last day.
SELECT p.run_id, p.series_id, r.first_day, r.last_day, r.summary -> 'parts' AS names, p.parts
FROM run_series p JOIN run r ON r.id = p.run_id
WHERE p.run_id = ANY(:run_ids) AND p.series_id = ANY(:series_ids) AND p.parts IS NOT NULL
