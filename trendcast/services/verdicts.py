"""What people, and the gate of the data, said of findings, as the forecasts see it: days that nothing is to be learnt
from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from trendcast.anomalies.entries import Entry
    from trendcast.anomalies.incidents import Key
    from trendcast.anomalies.scene import Scene
    from trendcast.panel import Panel
    from trendcast.store.engine import Database

CORRECTED = 0.02  # of what was sold when it was found, from which the data have been corrected since


def note_wholes(entries: Iterable[Entry], scene: Scene, under: Callable[[Key], np.ndarray]) -> None:
    """Note with each day of a node what all its series sold, as it is to be compared later: what is told of it is of
    those alone that something was expected of. ``under``: the rows of a node."""
    rows: dict[Key, np.ndarray] = {}
    for entry in entries:
        if len(scene.keys) and entry.level == scene.keys[0][0]:
            continue  # a series is its own whole
        if entry.key not in rows:
            rows[entry.key] = under(entry.key)
        days = np.array([one.day for one in entry.days])
        sold = np.nansum(scene.units[np.ix_(rows[entry.key], days)], axis=0)
        entry.days = [replace(one, whole=float(whole)) for one, whole in zip(entry.days, sold, strict=True)]


def read_panel(db: Database, connection: Any, **how: Any) -> Panel:
    """The bottom panel that forecasts are made from: what is loaded, with what people said of it (``without_doubtful``;
    ``how``: as in store.panel.read_panel, whose errors it raises)."""
    from trendcast.services.detect_window import CORRECTIONS
    from trendcast.store import panel

    said = db.rows("panel_verdicts", connection=connection, corrections=list(CORRECTIONS))
    return without_doubtful(panel.read_panel(db, connection, **how), said)


def without_doubtful(panel: Panel, verdicts: Sequence[Mapping[str, Any]]) -> Panel:
    """The bottom panel with the days marked on which somebody confirmed a finding, or on which the data are wrong (rows
    of sql/panel_verdicts.sql): they teach the forecasts nothing. A day whose data were corrected since does, and so do
    the series of a region of which others went far: these have rows of their own."""
    from trendcast.panel import DIMENSIONS

    if not verdicts:
        return panel
    doubtful, wrong = (np.zeros(panel.units.shape, bool) for _ in range(2))
    first = panel.first_day.astype("datetime64[D]")
    names = {name: panel.series[name].to_numpy(str) for name in DIMENSIONS}
    for verdict in verdicts:
        mine = np.ones(panel.n_series, bool)
        for name in DIMENSIONS:
            if verdict[name]:
                mine &= names[name] == verdict[name]
        for told in verdict["days"] or ():
            day = int((np.datetime64(told["day"], "D") - first).astype(int))
            if not 0 <= day < panel.history or told.get("some"):
                continue
            sold, then = float(np.nansum(panel.units[mine, day])), told.get("whole", told["actual"])
            if abs(sold - then) <= CORRECTED * max(abs(then), 1.0):
                doubtful[mine, day] = True
                wrong[mine, day] |= verdict["wrong"]
    if not doubtful.any():
        return panel
    return replace(panel, doubtful=doubtful, wrong=wrong if wrong.any() else None)
