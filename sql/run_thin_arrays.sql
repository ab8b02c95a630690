-- Drops the stored arrays of every run but the newest two ready ones; returns nothing.
UPDATE run_series SET history = NULL, parts = NULL, parameters = NULL, lost = NULL
WHERE (history IS NOT NULL OR lost IS NOT NULL OR parts IS NOT NULL OR parameters IS NOT NULL)
  AND run_id NOT IN (SELECT id FROM run WHERE status = 'ready' ORDER BY id DESC LIMIT 2)
