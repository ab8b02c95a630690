-- One run of the detector: what it looked at, when, and what it found.
SELECT id, trigger, as_of, data_version, detector_version, status, started, finished, n_series, n_flagged,
       summary -> 'result' AS result
FROM detection_run WHERE id = :id
