-- What the loads left behind, one row: rows set aside in merged batches, and batches held.
SELECT coalesce(sum(rows_quarantined) FILTER (WHERE status = 'merged'), 0) AS quarantined,
       count(*) FILTER (WHERE status = 'held') AS held
FROM load_batch
