-- Rights, given anew at each upgrade. The role that upgrades owns the schema (call it tc_owner) and runs the worker and
-- the single process; tc_web is for a dashboard or API in a process of its own. Where roles may not be created, an
-- administrator makes tc_web and upgrades again; without it everything runs as the owner.
REVOKE ALL ON SCHEMA trendcast FROM PUBLIC;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tc_web')
       AND EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND (rolcreaterole OR rolsuper)) THEN
        BEGIN
            CREATE ROLE tc_web NOLOGIN;
            ALTER ROLE tc_web SET statement_timeout = '5s';
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of the server was first
        END;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tc_web') THEN
        GRANT USAGE ON SCHEMA trendcast TO tc_web;
        GRANT SELECT ON ALL TABLES IN SCHEMA trendcast TO tc_web;
        ALTER DEFAULT PRIVILEGES IN SCHEMA trendcast GRANT SELECT ON TABLES TO tc_web;
        GRANT INSERT ON override, decision, scenario, suppression, review, recipient, threshold, audit,
            anomaly_event, job_slot, person_session, upload_mapping, learnt_event TO tc_web;
        GRANT UPDATE (status, snoozed_until, disposition, version, acked_by, acked_at, resolved_by, resolved_at, note)
            ON anomaly_log TO tc_web;
        GRANT UPDATE (status, owner, snoozed_until, disposition, note, version, acked_by, acked_at, resolved_by,
            resolved_at) ON incident TO tc_web;
        -- Ending what was begun, never rewriting it.
        GRANT UPDATE (withdrawn_by, withdrawn_at) ON override TO tc_web;
        GRANT UPDATE (mapping, file_name, used_by, used_at) ON upload_mapping TO tc_web;
        GRANT UPDATE (archived_at) ON scenario TO tc_web;
        GRANT UPDATE (ended_at) ON suppression TO tc_web;
        GRANT UPDATE (status, agenda, note, frozen_by, frozen_at) ON review TO tc_web;
        GRANT UPDATE (value, reason, set_by, set_at) ON threshold TO tc_web;
        GRANT DELETE ON threshold TO tc_web;  -- what it was stays in the audit
        GRANT UPDATE (removed_by, removed_at) ON learnt_event TO tc_web;
        GRANT UPDATE (product_category, region, impact_level, digest, active) ON recipient TO tc_web;
        GRANT UPDATE (seen_at, ended_at) ON person_session TO tc_web;
        GRANT UPDATE (last_used_at) ON api_key TO tc_web;
        GRANT INSERT ON pushed TO tc_web;  -- rows that a worker loads
        GRANT INSERT, UPDATE, DELETE ON idempotency TO tc_web;
        GRANT UPDATE (state, next_attempt_at, finished_at) ON job_slot TO tc_web;  -- asking again; newer slots skip older
    END IF;
END $$;
