-- What a run learnt about the drivers of its series (promotion, price, weather, economy ...). forecasting.drivers finds
-- it, the what-if reads it: `run_driver_facts` holds what is true of the whole run (names, lead of the mentions, why a
-- driver is missing), `run_driver` the effects on one series, how sure they are and the range ever seen; `paths` are the
-- shares expected on the days ahead, after a week of the past (bytes of 1/254), a row per name in `facts -> paths`.
CREATE TABLE run_driver_facts (
    run_id bigint PRIMARY KEY REFERENCES run ON DELETE CASCADE,
    facts  jsonb NOT NULL
);
CREATE TABLE run_driver (
    run_id    bigint NOT NULL REFERENCES run ON DELETE CASCADE,
    series_id integer NOT NULL REFERENCES series,
    drivers   jsonb NOT NULL,
    paths     bytea NOT NULL,
    PRIMARY KEY (run_id, series_id)
);
