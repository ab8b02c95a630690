-- A file of 50 MB may take a slow network a minute to reach the database.
-- store.silence reads the time out of the words set_config('statement_timeout', 'N', true): keep them so.
SELECT set_config('statement_timeout', '60000', true)
