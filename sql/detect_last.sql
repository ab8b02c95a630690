-- The newest finished detection: id, as_of, data_version, finished, n_series, n_flagged, summary.
SELECT id, as_of, data_version, finished, n_series, n_flagged, summary
FROM detection_run WHERE status = 'done' AND scope = ''
ORDER BY as_of DESC, data_version DESC, id DESC LIMIT 1
