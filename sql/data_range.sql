-- First and last day of the sales, their number, and the newest merged batch.
SELECT min(date_id) AS first_day, max(date_id) AS last_day, count(*) AS n_rows,
       (SELECT max(id) FROM load_batch WHERE status = 'merged') AS newest_batch
FROM sales_daily
