-- What the database is, in one row.
SELECT current_setting('server_version') AS version, current_database() AS name, current_user AS role,
       pg_database_size(current_database()) AS bytes,
       (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) AS connections
