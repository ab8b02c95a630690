-- Drops the stored arrays of every run but the newest two ready ones; returns nothing.
UPDATE run_series SET daily = NULL, weekly = NULL, parameters = NULL
WHERE (daily IS NOT NULL OR weekly IS NOT NULL OR parameters IS NOT NULL)
  AND run_id NOT IN (SELECT id FROM run WHERE status = 'ready' ORDER BY id DESC LIMIT 2)
