-- What a run learnt about the drivers of a series (price, weather, economy ...): the effects, how sure they are, the range
-- ever seen and what is planned ahead. forecasting.drivers writes it, the what-if reads it.
CREATE TABLE run_driver (
    run_id    bigint NOT NULL REFERENCES run ON DELETE CASCADE,
    series_id integer NOT NULL REFERENCES series,
    drivers   jsonb NOT NULL,
    PRIMARY KEY (run_id, series_id)
);
