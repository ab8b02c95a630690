-- Detections, what they found, and the mail that tells of it.
CREATE TABLE detection_run (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    trigger          text NOT NULL CHECK (trigger IN ('ingest', '0800', '1400', 'api', 'sweep')),
    as_of            date NOT NULL,
    data_version     bigint NOT NULL,       -- the newest load_batch it saw
    detector_version text NOT NULL,
    scope            text NOT NULL DEFAULT '',
    status           text NOT NULL CHECK (status IN ('running', 'done', 'failed')),
    started          timestamptz NOT NULL DEFAULT now(),
    finished         timestamptz,
    n_series         integer,
    n_flagged        integer,
    summary          jsonb NOT NULL DEFAULT '{}',
    error            text,
    UNIQUE (as_of, data_version, detector_version, scope)
);
CREATE INDEX detection_run_newest ON detection_run (started DESC);

CREATE TABLE incident (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_key          text NOT NULL,       -- node and direction
    episode_start      date NOT NULL,
    parent_node        text NOT NULL,
    kind               text NOT NULL DEFAULT 'DEMAND',
    impact             text NOT NULL CHECK (impact IN ('HIGH', 'MEDIUM', 'LOW')),
    status             text NOT NULL DEFAULT 'NEW' CHECK (status IN ('NEW', 'ACKNOWLEDGED', 'RESOLVED')),
    loss               double precision CHECK (loss > '-infinity' AND loss < 'infinity'),
    members            integer NOT NULL DEFAULT 0,
    headline           text,
    attribution        jsonb NOT NULL DEFAULT '{}',
    owner              text,
    snoozed_until      date,
    disposition        text CHECK (disposition IN ('expected', 'new_normal', 'false_alarm', 'confirmed', 'data_issue')),
    note               text,
    last_notified_hash text,
    revision           integer NOT NULL DEFAULT 1,   -- counts what was worth telling; part of the mail's key
    version            integer NOT NULL DEFAULT 1,   -- counts every change; If-Match
    created_at         timestamptz NOT NULL DEFAULT now(),
    acked_by text, acked_at timestamptz, resolved_by text, resolved_at timestamptz,
    UNIQUE (group_key, episode_start)
);
CREATE INDEX incident_open ON incident (impact, created_at) WHERE status <> 'RESOLVED';
CREATE INDEX incident_newest ON incident (created_at DESC);

-- The customer's columns first, then what explains and settles each.
CREATE TABLE anomaly_log (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    detected_date     date NOT NULL,
    product_category  varchar(100) NOT NULL DEFAULT '',
    region            varchar(100) NOT NULL DEFAULT '',
    actual_value      double precision NOT NULL CHECK (actual_value > '-infinity' AND actual_value < 'infinity'),
    expected_value    double precision NOT NULL CHECK (expected_value > '-infinity' AND expected_value < 'infinity'),
    anomaly_score     double precision NOT NULL CHECK (anomaly_score > '-infinity' AND anomaly_score < 'infinity'),
    impact_level      text NOT NULL CHECK (impact_level IN ('HIGH', 'MEDIUM', 'LOW')),
    status            text NOT NULL DEFAULT 'NEW' CHECK (status IN ('NEW', 'ACKNOWLEDGED', 'RESOLVED')),
    created_at        timestamptz NOT NULL DEFAULT now(),
    level             text NOT NULL
        CHECK (level IN ('total', 'region', 'store', 'category', 'category_region', 'category_store')),
    store             varchar(100) NOT NULL DEFAULT '',
    fingerprint       bytea NOT NULL UNIQUE CHECK (octet_length(fingerprint) = 32),
    kind              text NOT NULL DEFAULT 'DEMAND' CHECK (kind IN ('DEMAND', 'SUPPLY', 'DATA_QUALITY')),
    class             text NOT NULL,
    direction         smallint NOT NULL CHECK (direction IN (-1, 0, 1)),
    episode_start     date NOT NULL,
    lo                double precision,     -- the 95 % band expected
    hi                double precision,
    z                 double precision,
    p                 double precision CHECK (p >= 0 AND p <= 1),
    q                 double precision CHECK (q >= 0 AND q <= 1),
    loss              double precision,
    event_time        timestamptz,
    data_available_at timestamptz,
    detected_at       timestamptz NOT NULL DEFAULT now(),
    forecast_run      bigint,
    detection_run     bigint REFERENCES detection_run,
    incident_id       bigint REFERENCES incident,
    explanation       jsonb NOT NULL DEFAULT '{}',
    snoozed_until     date,
    disposition       text CHECK (disposition IN ('expected', 'new_normal', 'false_alarm', 'confirmed', 'data_issue')),
    version           integer NOT NULL DEFAULT 1,
    acked_by text, acked_at timestamptz, resolved_by text, resolved_at timestamptz,
    note              text
);
CREATE INDEX anomaly_log_series ON anomaly_log (product_category, region, store, detected_date);
CREATE INDEX anomaly_log_newest ON anomaly_log (created_at DESC);
CREATE INDEX anomaly_log_day ON anomaly_log (detected_date DESC);
CREATE INDEX anomaly_log_incident ON anomaly_log (incident_id);

-- Every move of an anomaly or incident, append-only.
CREATE TABLE anomaly_event (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    anomaly_id  bigint REFERENCES anomaly_log,
    incident_id bigint REFERENCES incident,
    action      text NOT NULL,
    from_status text,
    to_status   text,
    details     jsonb NOT NULL DEFAULT '{}',
    who         text NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    note        text,
    CHECK (anomaly_id IS NOT NULL OR incident_id IS NOT NULL)
);
CREATE INDEX anomaly_event_anomaly ON anomaly_event (anomaly_id, at);
CREATE INDEX anomaly_event_incident ON anomaly_event (incident_id, at);

CREATE TABLE suppression (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    matcher jsonb NOT NULL,             -- level, product_category, region, store, kind: what is named must be equal
    until   timestamptz NOT NULL,
    reason  text NOT NULL,
    who     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz
);
CREATE INDEX suppression_open ON suppression (until) WHERE ended_at IS NULL;

-- One row per message and recipient, written in the transaction of what it tells of and sent after it.
CREATE TABLE outbox (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dedup_key       text NOT NULL UNIQUE,       -- incident|reason|revision|recipient
    incident_id     bigint REFERENCES incident,
    impact          smallint NOT NULL DEFAULT 2 CHECK (impact BETWEEN 0 AND 2),  -- 0 HIGH, 1 MEDIUM, 2 LOW: the order of sending
    channel         text NOT NULL CHECK (channel IN ('email', 'webhook')),
    recipient       text NOT NULL CHECK (recipient !~ '[\r\n]'),
    message_id      text NOT NULL,
    in_reply_to     text,
    subject         text NOT NULL CHECK (subject !~ '[\r\n]'),
    body_text       text NOT NULL,
    body_html       text,
    status          text NOT NULL DEFAULT 'PENDING'
        CHECK (status IN ('PENDING', 'SENDING', 'SENT', 'UNKNOWN', 'DEAD', 'CANCELLED')),
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    lease_until     timestamptz NOT NULL DEFAULT '-infinity',
    lease_token     uuid,
    last_code       integer,
    last_error      text,
    suppressed_by   bigint REFERENCES suppression,
    created         timestamptz NOT NULL DEFAULT now(),
    sent_at         timestamptz,
    deadline        timestamptz NOT NULL DEFAULT now() + interval '24 hours'
);
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE status IN ('PENDING', 'SENDING', 'UNKNOWN');
CREATE INDEX outbox_incident ON outbox (incident_id);
CREATE INDEX outbox_newest ON outbox (created DESC);
