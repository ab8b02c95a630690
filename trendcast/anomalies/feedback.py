"""What people's verdicts teach: how often a kind of finding was true, and how sure the next of its kind must be.

A bucket is a level, a family of classes and a volume. Of it the precision is that of Beta(1 + true, 1 + false) with
verdicts that lose half their weight in 90 days; the false discovery rate at which its findings count is multiplied by
clip(precision / target, 0.25, 1). The target is what is held before anybody judged, so that without verdicts nothing
changes. HIGH is never muted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

HALF_LIFE = 90.0  # days
TARGET = 0.5  # the middle of Beta(1, 1)
LEAST = 0.25
VOLUMES = (20.0, 200.0)  # expected units a day that part the buckets, as those of the p-values
VOLUME_NAMES = ("under 20 a day", "20 to 200 a day", "over 200 a day")
FAMILIES = {
    "SPIKE": "single days",
    "DROP": "single days",
    "TEMPORARY": "single days",
    "ZERO_RUN": "single days",
    "LEVEL_SHIFT": "lasting changes",
    "TREND_CHANGE": "lasting changes",
    "PROMO_WITHOUT_UPLIFT": "promotions",
    "STOCK_OUT": "stock",
}
TRUE, FALSE = ("confirmed", "new_normal"), ("false_alarm",)

Bucket = tuple[str, str, int]  # level, family, volume


@dataclass(frozen=True)
class Verdict:
    """What somebody found an entry to be, ``days`` days ago."""

    level: str
    cls: str
    expected: float
    disposition: str
    days: float


@dataclass(frozen=True)
class Tally:
    """Weighted verdicts of a bucket, its precision and the factor on its false discovery rate."""

    true: float = 0.0
    false: float = 0.0

    @property
    def precision(self) -> float:
        return (1 + self.true) / (2 + self.true + self.false)

    @property
    def factor(self) -> float:
        return float(np.clip(self.precision / TARGET, LEAST, 1.0))


@dataclass(frozen=True)
class Trust:
    """The tallies of all buckets. ``times``: by how much the units judged are larger than those of the verdicts."""

    tallies: Mapping[Bucket, Tally] = field(default_factory=dict)
    times: float = 1.0

    def factor(self, level: str, cls: str, expected: float) -> float:
        """On the false discovery rate at which such a finding counts; 1 where nobody judged its kind."""
        if not self.tallies:
            return 1.0
        tally = self.tallies.get(bucket(level, cls, expected / self.times))
        return tally.factor if tally else 1.0


def bucket(level: str, cls: str, expected: float) -> Bucket:
    """The kind of a finding."""
    return level, FAMILIES.get(cls, cls), int(np.digitize(np.nan_to_num(expected), VOLUMES))


def tally(verdicts: Iterable[Verdict]) -> dict[Bucket, Tally]:
    """The weighted verdicts by bucket; those that say nothing of the detector (expected, a fault of the data) are left
    out."""
    true: dict[Bucket, float] = {}
    false: dict[Bucket, float] = {}
    for one in verdicts:
        side = true if one.disposition in TRUE else false if one.disposition in FALSE else None
        if side is None:
            continue
        kind = bucket(one.level, one.cls, one.expected)
        side[kind] = side.get(kind, 0.0) + 0.5 ** (max(0.0, one.days) / HALF_LIFE)
    return {kind: Tally(true.get(kind, 0.0), false.get(kind, 0.0)) for kind in {*true, *false}}
