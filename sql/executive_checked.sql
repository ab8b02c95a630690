-- The last day that was checked for anomalies; NULL when none was.
SELECT max(as_of) AS checked FROM detection_run WHERE status = 'done'
