-- Runs: what a refresh computes and publishes, immutable once ready, and what became of it when the truth arrived.
CREATE TABLE run (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    status        text NOT NULL CHECK (status IN ('building', 'ready', 'failed')),
    kind          text NOT NULL DEFAULT 'quick' CHECK (kind IN ('quick', 'full')),
    first_day     date NOT NULL,
    last_day      date NOT NULL,            -- the origin: the last full day of data
    horizon       integer NOT NULL CHECK (horizon > 0),
    data_batch_hi bigint NOT NULL,
    code_version  text NOT NULL,
    params_hash   text NOT NULL,
    lease_token   uuid NOT NULL,
    n_series      integer NOT NULL DEFAULT 0,
    summary       jsonb NOT NULL DEFAULT '{}',  -- seconds and rows by stage, peak memory, members, warnings
    error         text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    published_at  timestamptz
);

CREATE TABLE current_run (
    id           integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    run_id       bigint NOT NULL REFERENCES run,
    published_at timestamptz NOT NULL DEFAULT now()
);

-- One row per forecast series, kept over all runs. Dimensions above a level are filled (a store has its region),
-- dimensions a level does not have are ''.
CREATE TABLE series (
    id               integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    level            text NOT NULL
        CHECK (level IN ('total', 'region', 'store', 'category', 'category_region', 'category_store')),
    product_category varchar(100) NOT NULL DEFAULT '',
    region           varchar(100) NOT NULL DEFAULT '',
    store            varchar(100) NOT NULL DEFAULT '',
    UNIQUE (level, product_category, region, store)
);

-- What a run knows of one series besides its daily numbers.
CREATE TABLE run_series (
    run_id       bigint NOT NULL REFERENCES run ON DELETE CASCADE,
    series_id    integer NOT NULL REFERENCES series,
    first_day    date NOT NULL,
    days_observed integer NOT NULL,
    recent_units double precision NOT NULL,     -- mean per day over the last 56 days of data
    unit_price   double precision,              -- revenue over units of the last 56 days, to show; null: unknown
    weights      jsonb NOT NULL,                -- member -> weight in the combination
    parameters   bytea,                         -- the structural member's coefficients, float64, and
    layout       jsonb NOT NULL DEFAULT '{}',   -- what they mean (forecasting.structural)
    -- Day by day from the run's first day, packed by store/runs.py; thinned with age.
    history      bytea,                         -- units, revenue, share open, share under promotion, stock-outs
    parts        bytea,                         -- the decomposition, history and forecast
    PRIMARY KEY (run_id, series_id)
);

CREATE TABLE forecast (
    run_id    bigint NOT NULL REFERENCES run ON DELETE CASCADE,
    series_id integer NOT NULL REFERENCES series,
    date_id   date NOT NULL,
    mean      double precision NOT NULL,
    money     double precision,             -- the series below, each at its own price; null: no price known
    q025 double precision NOT NULL, q05 double precision NOT NULL, q10 double precision NOT NULL,
    q25 double precision NOT NULL, q50 double precision NOT NULL, q75 double precision NOT NULL,
    q90 double precision NOT NULL, q95 double precision NOT NULL, q975 double precision NOT NULL,
    PRIMARY KEY (run_id, series_id, date_id)
);

-- Whole weeks (Monday to Sunday) of the forecast: quantiles do not add, so weeks have their own.
CREATE TABLE forecast_week (
    run_id    bigint NOT NULL REFERENCES run ON DELETE CASCADE,
    series_id integer NOT NULL REFERENCES series,
    week      date NOT NULL CHECK (extract(isodow FROM week) = 1),
    mean      double precision NOT NULL,
    money     double precision,             -- the series below, each at its own price; null: no price known
    q025 double precision NOT NULL, q05 double precision NOT NULL, q10 double precision NOT NULL,
    q25 double precision NOT NULL, q50 double precision NOT NULL, q75 double precision NOT NULL,
    q90 double precision NOT NULL, q95 double precision NOT NULL, q975 double precision NOT NULL,
    PRIMARY KEY (run_id, series_id, week)
);

-- The rolling-origin backtest behind a run, weekly sums: float32, origins and members as in the run's summary.
CREATE TABLE backtest (
    run_id    bigint NOT NULL REFERENCES run ON DELETE CASCADE,
    series_id integer NOT NULL REFERENCES series,
    actual    bytea NOT NULL,                   -- (origin, week), NaN: a week not wholly known
    mean      bytea NOT NULL,                   -- (origin, week), the combination
    members   bytea NOT NULL,                   -- (member, origin, week)
    PRIMARY KEY (run_id, series_id)
);

-- The backtest's figures by level, model and horizon week (0: all weeks).
CREATE TABLE backtest_metric (
    run_id       bigint NOT NULL REFERENCES run ON DELETE CASCADE,
    level        text NOT NULL,
    model        text NOT NULL,
    horizon_week integer NOT NULL,
    metrics      jsonb NOT NULL,
    PRIMARY KEY (run_id, level, model, horizon_week)
);

-- Every published weekly forecast by lag; forecast_accuracy = 1 - |actual - mean| / actual, floored at 0, once scored.
CREATE TABLE forecast_log (
    series_id        integer NOT NULL REFERENCES series,
    week             date NOT NULL,
    lag_weeks        integer NOT NULL CHECK (lag_weeks > 0),   -- 1: the first whole week after the origin
    run_id           bigint NOT NULL,
    level            text NOT NULL,
    product_category varchar(100) NOT NULL,
    region           varchar(100) NOT NULL,
    store            varchar(100) NOT NULL,
    mean             double precision NOT NULL,
    money            double precision,
    q10 double precision NOT NULL, q90 double precision NOT NULL,
    actual           double precision,
    forecast_accuracy double precision,
    bias             double precision,                          -- (mean - actual) / actual
    created_at       timestamptz NOT NULL DEFAULT now(),
    scored_at        timestamptz,
    PRIMARY KEY (series_id, week, lag_weeks)
);
CREATE INDEX forecast_log_due ON forecast_log (week) WHERE scored_at IS NULL;
CREATE INDEX forecast_log_scored ON forecast_log (scored_at, level) WHERE scored_at IS NOT NULL;
-- A look at one series by a reference model (stock Prophet, MSTL), made by a job and kept with its run.
CREATE TABLE look (
    run_id     bigint NOT NULL REFERENCES run ON DELETE CASCADE,
    series_id  integer NOT NULL REFERENCES series,
    kind       text NOT NULL CHECK (kind IN ('prophet', 'mstl')),
    result     jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, series_id, kind)
);
