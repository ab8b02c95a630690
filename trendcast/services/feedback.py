"""How often early warning was right, by kind of finding, and what people's verdicts have made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from trendcast import wording
from trendcast.anomalies import feedback as room
from trendcast.services.detect_window import VERDICTS

if TYPE_CHECKING:
    from trendcast.store.engine import Database

LEVELS = {
    "total": "All categories",
    "region": "Regions",
    "store": "Stores",
    "category": "Categories",
    "category_region": "Categories in a region",
    "category_store": "Categories in a store",
}


def precision(db: Database) -> pd.DataFrame:
    """One row per kind of finding that somebody judged, those that changed most first: level, family (of classes),
    volume, confirmed and false_alarms (verdicts, which lose half their weight in 90 days), precision (of Beta(1 +
    confirmed, 1 + false alarms)), factor (on the share of findings that may be chance: 1 is as without verdicts, 0.25
    the least) and said (a sentence). Taking a verdict back takes its part out."""
    tallies = room.tally(
        room.Verdict(row["level"], row["class"], row["expected"] or 0.0, row["disposition"], row["days"])
        for row in db.rows("feedback_verdicts", verdicts=VERDICTS)
    )
    rows = [
        {
            "level": LEVELS.get(level, level),
            "family": family,
            "volume": room.VOLUME_NAMES[volume],
            "confirmed": tally.true,
            "false_alarms": tally.false,
            "precision": tally.precision,
            "factor": tally.factor,
            "said": _said(tally),
        }
        for (level, family, volume), tally in tallies.items()
    ]
    names = ["level", "family", "volume", "confirmed", "false_alarms", "precision", "factor", "said"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.sort_values(["factor", "level", "family", "volume"], kind="stable").reset_index(drop=True)


def _said(tally: room.Tally) -> str:
    if tally.factor == 1:
        return "Found and told as without verdicts."
    return f"Must be {wording.fixed(1 / tally.factor, 1)} times as sure as before; what is HIGH is always told."
