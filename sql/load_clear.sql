-- Empty the database of the demo retailer, its truth, and all that was computed or noted about it, with the thresholds that
-- are of its size or of its series, but for the batches.
TRUNCATE sales_daily, market_factors, inventory_daily, events, plan_daily, stores, item_params, purchase_orders,
    fact_history, current_run, run, series, forecast_log, detection_run, incident, anomaly_log, anomaly_event,
    suppression, outbox, override, scenario, decision, review, sync_day, sync_source CASCADE;
DELETE FROM threshold WHERE name IN ('high_loss', 'least_units') OR level <> '';
DROP SCHEMA IF EXISTS demo_truth CASCADE
