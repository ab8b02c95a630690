"""TrendCast: demand forecasts, early warning and stock decisions for retailers."""

__version__ = "0.1.0"
