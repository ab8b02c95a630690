-- Rows in quarantine by table and reason, the most first.
SELECT b.table_name, q.reason, count(*) AS n_rows, max(b.created_at) AS last_at
FROM quarantine q JOIN load_batch b ON b.id = q.batch_id
GROUP BY b.table_name, q.reason ORDER BY n_rows DESC LIMIT 50
