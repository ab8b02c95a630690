-- When sync last looked at every day of a source, not only at the last weeks.
CREATE TABLE sync_source (
    source  text PRIMARY KEY,
    full_at timestamptz NOT NULL DEFAULT now()
);
