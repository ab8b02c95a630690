-- What a message is about (suppressions match it), why it was written, and since when its data was there.
ALTER TABLE outbox
    ADD COLUMN reason text NOT NULL DEFAULT 'first',
    ADD COLUMN facts jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN data_available_at timestamptz;

-- How each way out of the house does: counted over all workers, so that they probe a dead server together, not each.
CREATE TABLE channel_state (
    channel       text PRIMARY KEY CHECK (channel IN ('email', 'webhook')),
    failures      integer NOT NULL DEFAULT 0,               -- in a row
    next_probe_at timestamptz NOT NULL DEFAULT '-infinity',
    failing_since timestamptz,
    setup         boolean NOT NULL DEFAULT false,           -- a setting is wrong: time alone will not help
    last_code     integer,
    last_error    text,
    last_ok       timestamptz
);
INSERT INTO channel_state (channel) VALUES ('email'), ('webhook');

-- What was last told of an incident: impact, members, status, at, n (how often), reason; null: nothing yet.
ALTER TABLE incident ADD COLUMN told jsonb;
CREATE INDEX incident_told ON incident (id) WHERE status <> 'RESOLVED' OR told IS NOT NULL;
