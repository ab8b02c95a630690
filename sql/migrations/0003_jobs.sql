-- Jobs: due slots are rows, and any number of processes may take them; time is the database's now().
CREATE TABLE job_slot (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL,
    scheduled_for   timestamptz NOT NULL,
    arguments       jsonb NOT NULL DEFAULT '{}',
    state           text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'skipped', 'dead')),
    attempts        integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    lease_token     uuid,
    lease_until     timestamptz NOT NULL DEFAULT '-infinity',  -- never null: a null is neither expired nor held
    progress        jsonb NOT NULL DEFAULT '{}',
    error           text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    started_at      timestamptz,
    finished_at     timestamptz,
    UNIQUE (name, scheduled_for),
    CHECK (state <> 'running' OR lease_token IS NOT NULL)
);
CREATE INDEX job_slot_open ON job_slot (scheduled_for) WHERE state IN ('queued', 'running');
CREATE INDEX job_slot_newest ON job_slot (created_at DESC);

-- For work that is no slot, such as the ticker that makes slots of schedules.
CREATE TABLE lease (
    name        text PRIMARY KEY,
    holder      text NOT NULL,
    lease_token uuid NOT NULL,
    lease_until timestamptz NOT NULL
);

-- Whoever loads, by whatever way: a commit of data wakes the workers.
CREATE FUNCTION load_batch_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('trendcast_data', '');
    RETURN NULL;
END $$;
CREATE TRIGGER load_batch_merged AFTER INSERT OR UPDATE OF status ON load_batch
    FOR EACH ROW WHEN (NEW.status = 'merged') EXECUTE FUNCTION load_batch_notify();
