-- Why this source's newest batch for the table is held, while that is less than an hour ago and nothing was merged since.
SELECT reason FROM load_batch AS held
WHERE table_name = :table AND source = :source AND status = 'held' AND created_at > now() - interval '1 hour'
  AND NOT EXISTS (SELECT FROM load_batch AS later
                  WHERE later.table_name = held.table_name AND later.source = held.source
                    AND later.status = 'merged' AND later.id > held.id)
ORDER BY id DESC LIMIT 1
