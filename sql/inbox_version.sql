-- What changes whenever what the inbox says does: moves, detections and loads.
SELECT (SELECT max(id) FROM anomaly_event) AS event, (SELECT max(id) FROM detection_run) AS run,
       (SELECT max(finished) FROM detection_run) AS finished,
       (SELECT max(id) FROM load_batch WHERE status = 'merged') AS batch
