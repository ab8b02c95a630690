"""A category as the one finding of which those of its series are parts: they are off for the same reason."""

from __future__ import annotations

import numpy as np

from trendcast.anomalies.entries import Entry, Figures
from trendcast.anomalies.judging import NOTABLE, Judge


def whole(judge: Judge, category: str, day: int, found: list[Entry]) -> Entry | None:
    """The category as a whole, when some of its series are off for one reason; None when it did not sell less."""
    rows = judge.of_category(category)
    rows = rows[np.isfinite(judge.rest.raw[rows, day])]
    units, mean = judge.scene.units[rows, day], judge.expected.units[rows, day]
    actual, expected = float(units.sum()), float(mean.sum())
    if actual >= expected or len(rows) < 2:
        return None
    strongest = max(found, key=lambda one: (one.impact == "HIGH", one.impact == "MEDIUM", one.now.loss_units))
    value = judge.scene.value[rows]
    gap = expected - actual
    loss = float(np.nansum((mean - units) * value)) if np.isfinite(value).any() else np.nan
    # With it moved what was found, and what no test of its own could find because all there fell alike.
    with_it = judge.rest.z_raw[rows, day] <= -NOTABLE
    with_it |= np.isin(rows, np.concatenate([one.rows for one in found]))
    spread = float(np.sqrt(((mean * judge.rest.sigma[rows, day]) ** 2).sum())) / expected
    figures = Figures(
        day=day,
        actual=actual,
        expected=expected,
        lo=expected * float(np.exp(-1.96 * spread)),
        hi=expected * float(np.exp(1.96 * spread)),
        z=strongest.now.z,
        p=strongest.now.p,
        q=strongest.now.q,
        loss=abs(loss),
        loss_units=gap,
    )
    return Entry(
        day=day,
        level="category",
        product_category=category,
        region="",
        store="",
        kind=strongest.kind,
        cls=strongest.cls,
        direction=-1,
        start=min(one.start for one in found),
        impact=strongest.impact,
        score=strongest.score,
        rel=gap / expected,
        days=[figures],
        rows=rows,
        cause=strongest.cause,
        facts={**strongest.facts, "children": len(rows), "leaning": int(with_it.sum())},
    )
