"""How many series the last day of a detection could be judged for, and why the others could not."""

from __future__ import annotations

import numpy as np

from trendcast.anomalies.entries import Found
from trendcast.anomalies.scene import Scene

GONE = 28  # days without any figure, after which nothing is waited for


def judged(found: Found, scene: Scene, day: int) -> dict[str, int]:
    """``judged`` series that were tested on ``day`` (an index); of the others those with too short a history
    (``learning``), whose data are in doubt (``held``), of which nothing came (``missing``), and that were ``closed``.
    What is no longer sold is none of these."""
    tested = np.isfinite(found.p[:, day])
    known = np.isfinite(scene.units)
    sold = ~tested & known[:, max(0, day - GONE + 1) : day + 1].any(axis=1)
    closed = sold & scene.closed[:, day]
    rest = sold & ~closed
    held = np.zeros(len(rest), bool)
    for entry in found.entries:
        if entry.kind == "DATA_QUALITY" and entry.day == day:
            held[entry.rows] = True
    # Of a day that is still given time nothing is told yet, and its feed is doubted all the same.
    expected = np.isfinite(found.expected.log[:, day])
    held |= known[:, day] & expected & ~np.isfinite(found.rest.raw[:, day])
    held &= rest
    missing = rest & ~held & ~known[:, day]
    return {
        "judged": int(tested.sum()),
        "learning": int((rest & ~held & ~missing).sum()),
        "held": int(held.sum()),
        "missing": int(missing.sum()),
        "closed": int(closed.sum()),
    }
