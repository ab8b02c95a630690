"""The member table: the models whose forecasts are combined, and what each of them returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from trendcast.panel import Panel


@dataclass(frozen=True, eq=False)
class MemberForecast:
    """mean: float64 (series, horizon), finite, >= 0 and 0 on closed days, in units per day after the origin.

    extras: whatever a member wants to hand on (a fitted state, components), by name.
    """

    mean: np.ndarray
    extras: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Member:
    """One row of the table: a module with a function (panel, horizon) -> MemberForecast.

    A member whose forecasts carry extras["state"] takes it back as keyword `state` at later origins, and then only
    filters forward with the parameters fitted before.
    """

    name: str
    module: str
    label: str
    function: str = "forecast"
    # Takes `state=` and hands on extras["state"].
    stateful: bool = False

    def forecast(self, panel: Panel, horizon: int, state: Any = None) -> MemberForecast:
        """What the member says at the panel's origin. Importing it may cost seconds (statsmodels), so only on use."""
        function = getattr(import_module(self.module), self.function)
        result: MemberForecast = function(panel, horizon) if state is None else function(panel, horizon, state=state)
        return result


MEMBERS: tuple[Member, ...] = (
    Member("structural", "trendcast.forecasting.structural_member", "Structural model (trend, seasons, holidays)"),
    Member("profile", "trendcast.forecasting.profile", "Recent level x weekly and yearly profile"),
    Member("arima", "trendcast.forecasting.arima", "ARIMA with yearly waves on weekly sums", stateful=True),
    Member("naive7", "trendcast.forecasting.baselines", "Same weekday of the last week", "naive7"),
    Member("naive364", "trendcast.forecasting.baselines", "Same day last year x growth", "naive364"),
)


def finish(mean: np.ndarray, panel: Panel) -> np.ndarray:
    """Forecasts as every member must hand them over: finite, not negative, nothing on closed days."""
    horizon = mean.shape[1]
    closed = panel.open[:, panel.history : panel.history + horizon] <= 0
    clean = np.where(np.isfinite(mean), mean, 0.0)
    return np.where(closed, 0.0, np.maximum(clean, 0.0))
