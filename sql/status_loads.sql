-- What the loads left behind, in one row.
SELECT count(*) FILTER (WHERE status = 'merged') AS merged, count(*) FILTER (WHERE status = 'held') AS held,
       (SELECT count(*) FROM quarantine) AS quarantined, max(committed_at) AS newest
FROM load_batch
