-- The retailer's tables (the customer's three keep their names and columns) and where loads leave their traces.
CREATE TABLE load_batch (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source         text NOT NULL,
    table_name     text NOT NULL,
    sha256         text,
    first_day      date,
    last_day       date,
    rows_in        bigint NOT NULL DEFAULT 0,
    rows_ok        bigint NOT NULL DEFAULT 0,
    rows_new       bigint NOT NULL DEFAULT 0,
    rows_changed   bigint NOT NULL DEFAULT 0,
    rows_quarantined bigint NOT NULL DEFAULT 0,
    status         text NOT NULL CHECK (status IN ('merged', 'held', 'rejected')),
    reason         text,
    accepted_by    text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    committed_at   timestamptz
);
-- The same file twice is no work; a held or rejected one may come again.
CREATE UNIQUE INDEX load_batch_sha256 ON load_batch (table_name, sha256) WHERE status = 'merged';

CREATE TABLE quarantine (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id   bigint NOT NULL REFERENCES load_batch ON DELETE CASCADE,
    row_number bigint NOT NULL,
    raw        bytea NOT NULL,      -- as it came: text cannot hold NUL, jsonb refuses NaN
    reason     text NOT NULL
);
CREATE INDEX quarantine_batch ON quarantine (batch_id, row_number);

CREATE TABLE sales_daily (
    date_id          date NOT NULL,
    product_category varchar(100) NOT NULL,
    region           varchar(100) NOT NULL DEFAULT '',
    store            varchar(100) NOT NULL DEFAULT '',
    sales_units      double precision NOT NULL CHECK (sales_units >= 0 AND sales_units < 'infinity'),
    sales_revenue    double precision CHECK (sales_revenue >= 0 AND sales_revenue < 'infinity'),
    promotion_flag   boolean,
    weather_condition varchar(100),
    open_flag        boolean,
    unit_price       double precision CHECK (unit_price >= 0 AND unit_price < 'infinity'),
    batch_id         bigint NOT NULL REFERENCES load_batch,
    PRIMARY KEY (product_category, region, store, date_id)
);
CREATE INDEX sales_daily_date ON sales_daily (date_id);
CREATE INDEX sales_daily_batch ON sales_daily (batch_id);

CREATE TABLE market_factors (
    date_id          date PRIMARY KEY,
    economic_index   double precision CHECK (economic_index > '-infinity' AND economic_index < 'infinity'),
    competitor_promotion_intensity double precision
        CHECK (competitor_promotion_intensity > '-infinity' AND competitor_promotion_intensity < 'infinity'),
    seasonal_events  varchar(100),
    social_media_mentions bigint CHECK (social_media_mentions >= 0),
    batch_id         bigint NOT NULL REFERENCES load_batch
);

CREATE TABLE inventory_daily (
    date_id          date NOT NULL,
    product_category varchar(100) NOT NULL,
    stock_level      double precision CHECK (stock_level > '-infinity' AND stock_level < 'infinity'),
    reorder_point    double precision CHECK (reorder_point >= 0 AND reorder_point < 'infinity'),
    lead_time_days   integer CHECK (lead_time_days >= 0),
    stockout_flag    boolean,
    batch_id         bigint NOT NULL REFERENCES load_batch,
    PRIMARY KEY (product_category, date_id)
);

CREATE TABLE events (
    date_id  date NOT NULL,
    region   varchar(100) NOT NULL DEFAULT '',     -- '' = everywhere
    event    varchar(100) NOT NULL,
    batch_id bigint NOT NULL REFERENCES load_batch,
    PRIMARY KEY (date_id, region, event)
);

CREATE TABLE plan_daily (
    date_id          date NOT NULL,
    product_category varchar(100) NOT NULL,
    region           varchar(100) NOT NULL DEFAULT '',
    store            varchar(100) NOT NULL DEFAULT '',
    promotion_flag   boolean,
    open_flag        boolean,
    unit_price       double precision CHECK (unit_price >= 0 AND unit_price < 'infinity'),
    weather_condition varchar(100),
    batch_id         bigint NOT NULL REFERENCES load_batch,
    PRIMARY KEY (product_category, region, store, date_id)
);
CREATE INDEX plan_daily_date ON plan_daily (date_id);

CREATE TABLE stores (
    store      varchar(100) PRIMARY KEY,
    region     varchar(100) NOT NULL DEFAULT '',
    opened_on  date,
    latitude   double precision CHECK (latitude BETWEEN -90 AND 90),
    longitude  double precision CHECK (longitude BETWEEN -180 AND 180),
    attributes jsonb NOT NULL DEFAULT '{}',
    batch_id   bigint NOT NULL REFERENCES load_batch
);

CREATE TABLE item_params (
    product_category varchar(100) PRIMARY KEY,
    unit_cost        double precision CHECK (unit_cost >= 0 AND unit_cost < 'infinity'),
    holding_rate     double precision CHECK (holding_rate >= 0 AND holding_rate < 'infinity'),
    order_cost       double precision CHECK (order_cost >= 0 AND order_cost < 'infinity'),
    moq              double precision CHECK (moq >= 0 AND moq < 'infinity'),
    order_multiple   double precision CHECK (order_multiple > 0 AND order_multiple < 'infinity'),
    max_stock        double precision CHECK (max_stock >= 0 AND max_stock < 'infinity'),
    shelf_life_days  integer CHECK (shelf_life_days > 0),
    target_service   double precision CHECK (target_service > 0 AND target_service < 1),
    batch_id         bigint NOT NULL REFERENCES load_batch
);

CREATE TABLE purchase_orders (
    po_id            varchar(100) PRIMARY KEY,
    product_category varchar(100) NOT NULL,
    quantity         double precision NOT NULL CHECK (quantity > 0 AND quantity < 'infinity'),
    ordered_on       date,
    due_on           date,
    received_on      date,
    received_quantity double precision CHECK (received_quantity >= 0 AND received_quantity < 'infinity'),
    batch_id         bigint NOT NULL REFERENCES load_batch
);
CREATE INDEX purchase_orders_category ON purchase_orders (product_category, due_on);

-- What a correction replaced, whole, whatever the table.
CREATE TABLE fact_history (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name  text NOT NULL,
    row_key     jsonb NOT NULL,
    old_row     jsonb NOT NULL,
    replaced_by bigint NOT NULL REFERENCES load_batch,
    replaced_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX fact_history_key ON fact_history (table_name, row_key);

-- Named events past and future, whoever names them: the events table, and what market_factors names as everywhere's.
CREATE VIEW known_events AS
SELECT date_id, region::text AS region, event::text AS event
FROM events
UNION
SELECT date_id, '', seasonal_events
FROM market_factors
WHERE lower(btrim(seasonal_events)) NOT IN ('', '-', 'none', 'null', 'no', 'n/a', 'na', 'normal', 'regular');
