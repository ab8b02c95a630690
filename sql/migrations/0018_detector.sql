-- What people said was to be expected, as an event of the calendar: what it did is learnt, and applied when its name comes
-- again. Taken back with the verdict.
CREATE TABLE learnt_event (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id bigint NOT NULL REFERENCES incident,
    event       varchar(100) NOT NULL CHECK (btrim(event) <> ''),
    region      varchar(100) NOT NULL DEFAULT '',       -- '' = everywhere
    first_day   date NOT NULL,
    last_day    date NOT NULL CHECK (last_day >= first_day AND last_day - first_day < 60),
    set_by      text NOT NULL,
    set_at      timestamptz NOT NULL DEFAULT now(),
    removed_by  text,
    removed_at  timestamptz
);
CREATE INDEX learnt_event_incident ON learnt_event (incident_id);

CREATE OR REPLACE VIEW known_events AS
SELECT date_id, region::text AS region, event::text AS event
FROM events
UNION
SELECT date_id, '', seasonal_events
FROM market_factors
WHERE lower(btrim(seasonal_events)) NOT IN ('', '-', 'none', 'null', 'no', 'n/a', 'na', 'normal', 'regular')
UNION
SELECT day::date, region, event
FROM learnt_event CROSS JOIN LATERAL generate_series(first_day, last_day, interval '1 day') AS day
WHERE removed_at IS NULL;

-- What is known from before alerts were kept is no news: nobody is mailed of it, only of what comes of it.
UPDATE incident
SET told = jsonb_build_object('impact', impact, 'members', members, 'status', status, 'reason', 'hushed', 'n', 0,
                              'at', now())
WHERE told IS NULL;
