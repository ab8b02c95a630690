-- Drops the daily rows of a run, the drivers a what-if would move them by and what stock advice is calculated from.
WITH drivers AS (DELETE FROM run_driver WHERE run_id = :run_id),
library AS (DELETE FROM stock_library WHERE run_id = :run_id),
inputs AS (UPDATE stock_advice SET inputs = NULL WHERE run_id = :run_id)
DELETE FROM forecast WHERE run_id = :run_id
