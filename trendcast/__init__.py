"""TrendCast: demand forecasts, early warning and stock decisions for retailers.

For notebooks and scripts: ``TimeSeriesAnalyzer`` and ``RealTimeAnomalyDetector`` (see trendcast.analyzer).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trendcast.analyzer import RealTimeAnomalyDetector, TimeSeriesAnalyzer

__version__ = "0.1.0"
__all__ = ["RealTimeAnomalyDetector", "TimeSeriesAnalyzer", "__version__"]


def __getattr__(name: str) -> Any:
    # Imported when asked for: every command and every child process imports this package.
    if name in __all__:
        return getattr(importlib.import_module("trendcast.analyzer"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
