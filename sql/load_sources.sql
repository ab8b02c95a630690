-- Whether the demo retailer's rows, and whether one's own, are in the database.
SELECT count(*) FILTER (WHERE source = 'demo') > 0 AS demo, count(*) FILTER (WHERE source <> 'demo') > 0 AS own
FROM load_batch
WHERE status = 'merged'
