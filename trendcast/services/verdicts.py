"""What people said of findings, as the forecasts see it: days that nothing is to be learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from trendcast.panel import Panel

CORRECTED = 0.02  # of what was sold when it was found, from which the data have been corrected since


def without_doubtful(panel: Panel, verdicts: Sequence[Mapping[str, Any]]) -> Panel:
    """The bottom panel with the days marked on which somebody confirmed a finding or called it a fault of the data
    (rows of sql/panel_verdicts.sql): they teach the forecasts nothing. A day whose data were corrected since does."""
    from trendcast.panel import DIMENSIONS

    if not verdicts:
        return panel
    doubtful = np.zeros(panel.units.shape, bool)
    first = panel.first_day.astype("datetime64[D]")
    names = {name: panel.series[name].to_numpy(str) for name in DIMENSIONS}
    for verdict in verdicts:
        mine = np.ones(panel.n_series, bool)
        for name in DIMENSIONS:
            if verdict[name]:
                mine &= names[name] == verdict[name]
        for told in verdict["days"] or ():
            day = int((np.datetime64(told["day"], "D") - first).astype(int))
            if not 0 <= day < panel.history:
                continue
            sold = float(np.nansum(panel.units[mine, day]))
            if abs(sold - told["actual"]) <= CORRECTED * max(abs(told["actual"]), 1.0):
                doubtful[mine, day] = True
    return replace(panel, doubtful=doubtful) if doubtful.any() else panel
