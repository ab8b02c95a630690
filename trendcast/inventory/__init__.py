"""From forecasts to stock decisions: demand under stock-outs, demand until an order arrives, policies, advice."""
