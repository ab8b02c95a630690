"""The customer's rule as written, to compare with; nothing of it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast.anomalies import plain as rule
from trendcast.panel import DIMENSIONS
from trendcast.services.detect_window import Packed, as_date, read_state

if TYPE_CHECKING:
    from trendcast.services.forecast import RunInfo
    from trendcast.store.engine import Database

PLAIN_HIGHEST = rule.HIGHEST  # the most the customer's rule can score


def plain_rule(db: Database, run: RunInfo, series_ids: list[int], days: int = 365) -> pd.DataFrame:
    """The customer's rule as written, over the summed series: date_id, actual, expected, score, impact ('' where it
    finds nothing). To compare; nothing of it is stored."""
    from trendcast.services import forecast

    history = forecast.history_daily(db, run, series_ids)
    units = history["units"].to_numpy()
    score, expected, impact = rule.plain(units[None, :])
    frame = pd.DataFrame(
        {
            "date_id": history["date_id"],
            "actual": units,
            "expected": expected[0],
            "score": score[0],
            "impact": impact[0].astype(str),
        }
    )
    return frame.iloc[-days:].reset_index(drop=True)


def plain_check(db: Database, days: int = 30) -> dict[str, Any]:
    """The customer's rule as written over every series and the last ``days``; nothing is stored."""
    state = read_state(db, back=0, verdicts=0)
    last = np.datetime64(state["last_sale"], "D")
    first = last - (days + rule.WINDOW - 1)
    rows = [
        row
        for row in db.rows("detect_window", first=as_date(first), last=state["last_sale"], seen=0)
        if row["what"] == "sales"
    ]
    units = np.full((len(rows), days + rule.WINDOW), np.nan)
    for packed in Packed.of(rows):
        units[packed.row, packed.day] = packed.first
    score, expected, impact = rule.plain(units)
    found = [
        {
            "date": str(first + int(day)),
            "level": state["level"],
            **{name: rows[number][name] for name in DIMENSIONS},
            "actual_sales": float(units[number, day]),
            "expected_sales": float(expected[number, day]),
            "anomaly_score": float(score[number, day]),
            "impact": str(impact[number, day]),
            "kind": "DEMAND",
            "class": "SPIKE" if units[number, day] > expected[number, day] else "DROP",
            "member": False,
        }
        for number, day in np.argwhere((impact != "") & (np.arange(units.shape[1]) >= rule.WINDOW))
    ]
    return {"as_of": str(last), "days": days, "n_series": len(rows), "incidents": 0, "anomalies": found}
