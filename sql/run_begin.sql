-- The id of a new run, still building: invisible to readers, and worthless once its lease is lost.
INSERT INTO run (status, kind, first_day, last_day, horizon, data_batch_hi, code_version, params_hash, lease_token)
VALUES ('building', :kind, :first_day, :last_day, :horizon, :data_batch_hi, :code_version, :params_hash,
        CAST(:token AS uuid))
RETURNING id
