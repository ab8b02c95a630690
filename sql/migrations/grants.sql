-- Rights, given anew at each upgrade. The role that upgrades owns the schema (call it tc_owner); tc_web is for a
-- dashboard or API in a process of its own. Where roles may not be created, an administrator makes tc_web and
-- upgrades again; without it everything runs as the owner.
REVOKE ALL ON SCHEMA trendcast FROM PUBLIC;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tc_web')
       AND EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND (rolcreaterole OR rolsuper)) THEN
        BEGIN
            CREATE ROLE tc_web NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of the server was first
        END;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tc_web') THEN
        GRANT USAGE ON SCHEMA trendcast TO tc_web;
        GRANT SELECT ON ALL TABLES IN SCHEMA trendcast TO tc_web;
        ALTER DEFAULT PRIVILEGES IN SCHEMA trendcast GRANT SELECT ON TABLES TO tc_web;
    END IF;
END $$;
