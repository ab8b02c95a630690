-- What people set, decide and ask for, and who they are.

-- Who gets alerts, beside ALERT_RECIPIENTS. '' = everywhere, everything.
CREATE TABLE recipient (
    id               integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel          text NOT NULL DEFAULT 'email' CHECK (channel IN ('email', 'webhook')),
    address          text NOT NULL CHECK (address <> '' AND address !~ '[\r\n]'),
    product_category varchar(100) NOT NULL DEFAULT '',
    region           varchar(100) NOT NULL DEFAULT '',
    impact_level     text NOT NULL DEFAULT 'LOW' CHECK (impact_level IN ('HIGH', 'MEDIUM', 'LOW')),  -- this and above
    digest           boolean NOT NULL DEFAULT true,
    active           boolean NOT NULL DEFAULT true,
    created_by       text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (channel, address, product_category, region)
);

-- A figure of a rule, for all ('', '', '', ''), a category or one series; the narrowest that fits holds.
CREATE TABLE threshold (
    id               integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             text NOT NULL,
    level            text NOT NULL DEFAULT ''
        CHECK (level IN ('', 'total', 'region', 'store', 'category', 'category_region', 'category_store')),
    product_category varchar(100) NOT NULL DEFAULT '',
    region           varchar(100) NOT NULL DEFAULT '',
    store            varchar(100) NOT NULL DEFAULT '',
    value            double precision NOT NULL CHECK (value > '-infinity' AND value < 'infinity'),
    reason           text,
    set_by           text NOT NULL,
    set_at           timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name, level, product_category, region, store)
);

-- A saved what-if, relative to the run it was made on.
CREATE TABLE scenario (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             varchar(200) NOT NULL,
    run_id           bigint NOT NULL,       -- the baseline; kept when the run itself is thinned
    level            text NOT NULL,
    product_category varchar(100) NOT NULL DEFAULT '',
    region           varchar(100) NOT NULL DEFAULT '',
    store            varchar(100) NOT NULL DEFAULT '',
    drivers          jsonb NOT NULL,        -- what was changed: driver -> value, or dates with values
    result           jsonb NOT NULL DEFAULT '{}',
    note             text,
    created_by       text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    archived_at      timestamptz
);
CREATE INDEX scenario_newest ON scenario (created_at DESC) WHERE archived_at IS NULL;

-- A planner's change to the forecast of a series over some weeks; the statistical value stays beside it.
CREATE TABLE override (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id           bigint NOT NULL,       -- the run that was looked at
    level            text NOT NULL,
    product_category varchar(100) NOT NULL DEFAULT '',
    region           varchar(100) NOT NULL DEFAULT '',
    store            varchar(100) NOT NULL DEFAULT '',
    first_day        date NOT NULL,
    last_day         date NOT NULL CHECK (last_day >= first_day),
    kind             text NOT NULL CHECK (kind IN ('units', 'factor')),
    value            double precision NOT NULL CHECK (value >= 0 AND value < 'infinity'),
    statistical      double precision CHECK (statistical >= 0 AND statistical < 'infinity'),
    reason_code      text NOT NULL CHECK (reason_code IN
        ('promotion', 'competitor', 'price', 'new_or_ended', 'supply', 'event_or_weather', 'data_error', 'target')),
    reason           text NOT NULL,
    scenario_id      bigint REFERENCES scenario,
    created_by       text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    expires_on       date NOT NULL,
    withdrawn_by     text,
    withdrawn_at     timestamptz
);
CREATE INDEX override_open ON override (level, product_category, region, store, last_day) WHERE withdrawn_at IS NULL;

-- The weekly meeting: frozen by run.
CREATE TABLE review (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    week         date NOT NULL CHECK (extract(isodow FROM week) = 1),
    run_id       bigint NOT NULL,
    status       text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'frozen')),
    agenda       jsonb NOT NULL DEFAULT '{}',
    note         text,
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    frozen_by    text,
    frozen_at    timestamptz,
    UNIQUE (week, run_id)
);

-- Append-only: a changed mind is a new row that names the old one.
CREATE TABLE decision (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    review_id        bigint REFERENCES review,
    run_id           bigint NOT NULL,
    product_category varchar(100) NOT NULL,
    region           varchar(100) NOT NULL DEFAULT '',
    recommendation   jsonb NOT NULL,
    decision         text NOT NULL CHECK (decision IN ('accept', 'modify', 'reject', 'defer')),
    value            double precision CHECK (value > '-infinity' AND value < 'infinity'),
    reason_code      text,
    reason           text,
    owner            text,
    due_on           date,
    status           text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'done', 'dropped')),
    outcome          jsonb,
    replaces         bigint UNIQUE REFERENCES decision,
    decided_by       text NOT NULL,
    decided_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX decision_newest ON decision (decided_at DESC);
CREATE INDEX decision_category ON decision (product_category, decided_at DESC);

-- Who did what, append-only.
CREATE TABLE audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor      text NOT NULL,
    action     text NOT NULL,
    object     text NOT NULL,
    before     jsonb,
    after      jsonb,
    address    text,
    request_id text,
    at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_newest ON audit (at DESC);
CREATE INDEX audit_object ON audit (object, at DESC);

-- Keys of the API: only their hash is kept; the key itself is shown once.
CREATE TABLE api_key (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        varchar(100) NOT NULL,
    key_hash    bytea NOT NULL UNIQUE CHECK (octet_length(key_hash) = 32),
    scopes      text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'write', 'admin'] AND scopes <> '{}'),
    created_by  text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at  timestamptz
);

-- Signed-in people: ended here, a session is over in every tab.
CREATE TABLE person_session (
    id         uuid PRIMARY KEY,
    person     text NOT NULL,
    role       text NOT NULL CHECK (role IN ('viewer', 'planner', 'admin')),
    address    text,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ended_at   timestamptz
);
CREATE INDEX person_session_person ON person_session (person) WHERE ended_at IS NULL;
