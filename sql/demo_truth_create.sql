-- Make the schema that holds what the demo retailer hides, anew. Tests, benchmarks and the marked "truth" switch read it.
DROP SCHEMA IF EXISTS demo_truth CASCADE;
CREATE SCHEMA demo_truth;
CREATE TABLE demo_truth.arguments (arguments jsonb NOT NULL);  -- one row: what the retailer was drawn with
CREATE TABLE demo_truth.series (
    product_category text NOT NULL, region text NOT NULL, store text NOT NULL,
    first_day date NOT NULL,
    demand   real[] NOT NULL,   -- wanted, without stock-outs
    expected real[] NOT NULL,   -- without noise, anomalies and stock-outs
    lift     real[] NOT NULL,   -- factor of the promotion
    lost     real[] NOT NULL,   -- what stock-outs turned away
    PRIMARY KEY (product_category, region, store)
);
CREATE TABLE demo_truth.anomaly (
    kind text NOT NULL, first_day date NOT NULL, last_day date NOT NULL,
    product_category text NOT NULL, region text NOT NULL, store text NOT NULL,   -- '': all
    size double precision NOT NULL                                               -- of what it does to units, as a share
);
CREATE VIEW demo_truth.daily AS
SELECT s.product_category, s.region, s.store, s.first_day + (u.n - 1)::int AS date_id, u.demand, u.expected, u.lift, u.lost
FROM demo_truth.series s,
     unnest(s.demand, s.expected, s.lift, s.lost) WITH ORDINALITY AS u (demand, expected, lift, lost, n);
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tc_web') THEN
        GRANT USAGE ON SCHEMA demo_truth TO tc_web;
        GRANT SELECT ON ALL TABLES IN SCHEMA demo_truth TO tc_web;
    END IF;
END $$
