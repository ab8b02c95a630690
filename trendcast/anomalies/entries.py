"""What a pass hands on: an entry is what was found of one node on one day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trendcast.anomalies import impact as sizes
from trendcast.anomalies import quality
from trendcast.anomalies.expectation import Expectation
from trendcast.anomalies.limits import Key
from trendcast.anomalies.residuals import Residuals


@dataclass(frozen=True)
class Figures:
    """One day of an entry."""

    day: int
    actual: float
    expected: float
    lo: float
    hi: float
    z: float
    p: float
    q: float
    loss: float  # money, or NaN without a price
    loss_units: float
    whole: float = np.nan  # what all of a node sold, also those series of which nothing was expected; NaN: ``actual``


def relative(days: Sequence[Figures]) -> float:
    """How much of what was expected is missing, or more than it, over these days."""
    return float(np.mean([one.loss_units for one in days])) / max(float(np.mean([one.expected for one in days])), 1e-9)


@dataclass(eq=False)
class Entry:
    """What was found of one node on one day; ``days`` holds that day and, of a level shift, those since it began."""

    day: int
    level: str
    product_category: str
    region: str
    store: str
    kind: str
    cls: str
    direction: int
    start: int
    impact: str
    score: float
    rel: float
    days: list[Figures]
    rows: np.ndarray
    cause: str = ""
    parent: Key | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return (self.level, self.product_category, self.region, self.store)

    @property
    def now(self) -> Figures:
        return self.days[-1]


@dataclass(frozen=True, eq=False)
class Found:
    """``entries`` in the order of days, leads before members; ``tests`` run over all days; ``expected`` for callers.
    ``p``, ``q`` (S, T) of each series and judged day, NaN where no test ran."""

    entries: list[Entry]
    tests: int
    series: int
    high_loss: float
    in_money: bool
    expected: Expectation
    rest: Residuals
    p: np.ndarray
    q: np.ndarray
    waiting: bool = False


def of_fault(fault: quality.Fault) -> Entry:
    """What the quality gate found, as an entry of the node it concerns."""
    gap = abs(fault.actual - fault.expected)
    nan = np.nan
    figures = Figures(fault.day, fault.actual, fault.expected, nan, nan, nan, nan, nan, nan, gap)
    # A feed that is half there, or wrong in all it says, hides whatever else may be: nothing else is looked at.
    serious = "MEDIUM" if fault.kind == "PARTIAL_FEED" and fault.known > 0.5 * fault.due else "HIGH"
    level, category, region, store = fault.key or ("region" if fault.region else "total", "", fault.region, "")
    return Entry(
        day=fault.day,
        level=level,
        product_category=category,
        region=region,
        store=store,
        kind="DATA_QUALITY",
        cls=fault.kind,
        direction=0,
        start=fault.day,
        impact=serious,
        score=sizes.RANGES[serious][0],
        rel=gap / fault.expected if fault.expected > 0 else 1.0,
        days=[figures],
        rows=fault.rows,
        cause="data quality",
        facts={
            "known": fault.known,
            "due": fault.due,
            "ratio": None if np.isnan(fault.ratio) else fault.ratio,
            **({"like": fault.like} if fault.like else {}),
        },
    )


def under(lead: Entry, found: list[Entry]) -> None:
    """Make entries the members of another."""
    whole = min(lead.now.actual - lead.now.expected, -1e-9)
    for one in found:
        if one is not lead:
            one.parent = lead.key
            one.facts["share"] = (one.now.actual - one.now.expected) / whole
