"""The usual range of past days: what was expected of each, as it could be known the evening before.

A day for which a forecast had been published is expected to sell that; any other day has the expectation the detector
falls back to (anomalies.expectation). The range comes from how far the expectation was off on the days before, as the
detector's own scale does, so that the chart and the rule's figures agree.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from trendcast.anomalies.expectation import expect
from trendcast.anomalies.scene import Scene
from trendcast.services.forecast import RunInfo, history_daily

if TYPE_CHECKING:
    from trendcast.store.engine import Database

COLUMNS = ("expected", "low80", "high80", "low95", "high95")
WINDOW, LEAST = 112, 28  # days whose residuals tell how far the expectation is usually off
LEARNT = 800  # days before the first one: two occurrences of each holiday
MAD = 1.4826
FLOOR = 0.02
Z80, Z95 = 1.2816, 1.9600


def days(db: Database, run: RunInfo, series_id: int, first: date, last: date) -> pd.DataFrame:
    """date, actual (units; NaN: nothing recorded), expected, low80, high80, low95, high95 (NaN: nothing was expected)
    of one series, day by day from ``first`` to ``last``, not beyond the run's last day."""
    history = history_daily(db, run, [series_id])
    since = pd.Timestamp(first) - pd.Timedelta(LEARNT, "D")
    history = history[history["date_id"] >= since].reset_index(drop=True)
    start = history["date_id"].iloc[0].date() if len(history) else first
    stored = db.frame("usual_range", series_id=series_id, first=start, last=last).set_index("date_id")
    return _range(history, stored, pd.Timestamp(first), min(pd.Timestamp(last), pd.Timestamp(run.last_day)))


def _range(history: pd.DataFrame, stored: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    dates = pd.DatetimeIndex(history["date_id"])
    units = history["units"].to_numpy(dtype=float)
    published = stored["mean"].reindex(dates).to_numpy(dtype=float) if len(stored) else np.full(len(dates), np.nan)
    said = history.loc[history["events"] != "", ["date_id", "events"]]
    scene = Scene.of(
        pd.DataFrame({"level": ["total"], "product_category": [""], "region": [""], "store": [""]}),
        dates[0].date(),
        units[None],
        forecast=published[None],
        promotion=history["promotion"].to_numpy(dtype=float)[None],
        closed=(history["open"].to_numpy(dtype=float) <= 0)[None],
        events=pd.DataFrame({"date_id": said["date_id"], "region": "", "event": said["events"]}),
    )
    log = expect(scene).log[0]
    off = pd.Series(np.abs(np.log1p(units) - log)).where(~scene.closed[0])
    scale = MAD * off.rolling(WINDOW, min_periods=LEAST).median().shift(1).to_numpy()
    expected = np.maximum(np.expm1(log), 0.0)
    sigma = np.maximum(scale, np.sqrt(1 / np.maximum(expected, 1.0) + FLOOR**2))  # NaN: too little history
    frame = pd.DataFrame({"date": dates, "actual": units, "expected": expected})
    for z, name in ((Z80, "80"), (Z95, "95")):
        frame[f"low{name}"] = np.maximum(np.expm1(log - z * sigma), 0.0)
        frame[f"high{name}"] = np.expm1(log + z * sigma)
    frame.loc[scene.closed[0], list(COLUMNS)] = np.nan
    return frame[(frame["date"] >= first) & (frame["date"] <= last)].reset_index(drop=True)
