-- Empty the database of the demo retailer and all that was computed from it.
TRUNCATE sales_daily, market_factors, inventory_daily, events, plan_daily, stores, item_params, purchase_orders,
    fact_history, quarantine, load_batch, current_run, run, series, forecast_log CASCADE
