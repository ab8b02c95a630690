-- The two roles of TrendCast (docs/operations.md, "In containers"), neither of them a superuser. The image of PostgreSQL
-- carries this out when it makes the database; it may be carried out again at any time, for example for new passwords.
-- The passwords come from the environment; without them it fails.
\set ON_ERROR_STOP on
\getenv owner_password TRENDCAST_OWNER_PASSWORD
\getenv web_password TRENDCAST_WEB_PASSWORD
SELECT format('CREATE ROLE %I', name) FROM (VALUES ('tc_owner'), ('tc_web')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
-- Owns the database: the schema's upgrade, the worker and the command line.
ALTER ROLE tc_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'owner_password';
-- Pages and REST: what it may do in the schema is given by each upgrade (sql/migrations/grants.sql).
ALTER ROLE tc_web LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'web_password';
ALTER ROLE tc_web SET statement_timeout = '5s';
SELECT format('ALTER DATABASE %I OWNER TO tc_owner', current_database()),
       format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()),
       format('GRANT CONNECT ON DATABASE %I TO tc_web', current_database())
\gexec
