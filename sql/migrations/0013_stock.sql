-- What a run advises to order, per category, and the stock it expects.
CREATE TABLE stock_advice (
    run_id           bigint NOT NULL REFERENCES run ON DELETE CASCADE,
    product_category varchar(100) NOT NULL,
    status           text NOT NULL CHECK (status IN ('order_now', 'order_soon', 'ok', 'excess', 'unknown')),
    rank             integer NOT NULL,          -- 1: most money at stake
    money            double precision,          -- at stake: expected lost margin, or avoidable carrying cost a year
    order_quantity   double precision NOT NULL DEFAULT 0 CHECK (order_quantity >= 0),
    order_by         date,
    sentence         text NOT NULL,
    tags             jsonb NOT NULL DEFAULT '[]',   -- texts
    assumed          jsonb NOT NULL DEFAULT '[]',   -- texts: inputs nobody gave, named
    figures          jsonb NOT NULL,            -- everything the sentence stands on, by the names of inventory.recommend
    parameters       jsonb NOT NULL,            -- what was given for the category (inventory.inputs.Parameters)
    inputs           bytea,                     -- what the advice is calculated from (inventory.inputs.Inputs)
    PRIMARY KEY (run_id, product_category)
);

-- Errors of past forecasts, pooled over the categories, that paths of demand are drawn from: float32, blocks x days.
CREATE TABLE stock_library (
    run_id           bigint PRIMARY KEY REFERENCES run ON DELETE CASCADE,
    days             integer NOT NULL,
    pool             bytea NOT NULL,
    pool_weight      bytea NOT NULL
);

-- Expected stock at the end of each week, without a new order and with the advised one.
CREATE TABLE stock_projection (
    run_id           bigint NOT NULL REFERENCES run ON DELETE CASCADE,
    product_category varchar(100) NOT NULL,
    week             date NOT NULL CHECK (extract(isodow FROM week) = 1),
    receipts         double precision NOT NULL DEFAULT 0,   -- already on order, due in that week
    q025 double precision NOT NULL, q10 double precision NOT NULL, q50 double precision NOT NULL,
    q90 double precision NOT NULL, q975 double precision NOT NULL,
    ordered_q50      double precision NOT NULL,             -- the middle with the advised order
    PRIMARY KEY (run_id, product_category, week)
);

-- Demand that stock-outs turned away, day by day from the run's first day: float32 units, then money; null: none.
ALTER TABLE run_series ADD COLUMN lost bytea;
