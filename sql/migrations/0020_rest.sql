-- What the REST service remembers: answers of requests that may come again, and rows that wait for the worker.

-- A request with an Idempotency-Key is done once: whoever sends it again gets the first answer.
CREATE TABLE idempotency (
    who        text NOT NULL,
    address    text NOT NULL,           -- method and path
    key        varchar(255) NOT NULL CHECK (key <> ''),
    request    bytea NOT NULL CHECK (octet_length(request) = 32),   -- SHA-256 of what was sent
    status     smallint,                -- null while it is being done
    headers    jsonb NOT NULL DEFAULT '{}',
    answer     bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (who, address, key)
);
CREATE INDEX idempotency_expiry ON idempotency (expires_at);

-- Rows pushed to a process that may not write facts; a worker loads them and takes them away.
CREATE TABLE pushed (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text NOT NULL,
    rows       text NOT NULL,           -- JSON in ASCII: NUL and what is no Unicode stay escaped
    accept     boolean NOT NULL DEFAULT false,
    who        text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
