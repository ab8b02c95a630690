-- Whether this process's role may load facts (sql/migrations/grants.sql).
SELECT has_table_privilege('load_batch', 'INSERT') AS allowed
