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
    tags             text[] NOT NULL DEFAULT '{}',
    assumed          text[] NOT NULL DEFAULT '{}',  -- inputs nobody gave, named
    figures          jsonb NOT NULL,            -- everything the sentence stands on, by the names of inventory.recommend
    PRIMARY KEY (run_id, product_category)
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

-- Demand that stock-outs turned away, day by day from the run's first day, float32; null: none.
ALTER TABLE run_series ADD COLUMN lost bytea;
