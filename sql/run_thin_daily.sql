-- Drops the daily rows of a run, the drivers a what-if would move them by, what stock advice is calculated from and the
-- stock it expects week by week.
WITH drivers AS (DELETE FROM run_driver WHERE run_id = :run_id),
expected AS (DELETE FROM stock_projection WHERE run_id = :run_id),
library AS (DELETE FROM stock_library WHERE run_id = :run_id),
inputs AS (UPDATE stock_advice SET inputs = NULL WHERE run_id = :run_id)
DELETE FROM forecast WHERE run_id = :run_id
