"""What every finding of a scene is judged by: what people set, what it costs, what is usual, stock and calendar."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from trendcast.anomalies import impact as sizes
from trendcast.anomalies import pvalues
from trendcast.anomalies.entries import Figures
from trendcast.anomalies.expectation import Expectation
from trendcast.anomalies.impact import Q_LOW, Size, impact
from trendcast.anomalies.limits import Key, Limits
from trendcast.anomalies.residuals import Residuals
from trendcast.anomalies.scene import Scene

NOTABLE = 2.5  # deviations
REL_LEAST, UNITS_LEAST = 0.10, 2.0
RARE = 0.05  # of all days, up to which an event explains something
ENTRY_P = 0.0025  # how rare a day must be to be written down at all: in 2,500 series some six a day are, by chance


def as_rate(p: float | np.ndarray) -> Any:
    """A p-value on the scale of the rate at which findings are written down: ``Q_LOW`` at ``ENTRY_P``.

    A false discovery rate alone asks more of each series the more there are, and finds a single one in thousands only
    when it is very far off; what is written down is bounded by how many chance makes of a series' days instead. Levels
    above LOW need the false discovery rate.
    """
    return p * (Q_LOW / ENTRY_P)


class Judge:
    """One scene, what was expected of it and its residuals, under one set of limits."""

    def __init__(
        self, scene: Scene, expected: Expectation, rest: Residuals, weight: np.ndarray, asked: Limits, usual: float
    ) -> None:
        """``weight`` (S,): what a unit counts, in money where anything has a price. ``usual``: the loss of a series
        from which it is HIGH where nobody set one in ``asked``."""
        self.scene, self.expected, self.rest, self.weight, self._asked = scene, expected, rest, weight, asked
        self.limits = asked.default("high_loss", usual)
        self.bucket = pvalues.volume(expected.units)
        self._set: dict[tuple[str, Key], float] = {}

    @cached_property
    def loosest(self) -> float:
        """The highest false discovery rate at which a finding of any node counts."""
        return max([Q_LOW, *(rule.value for rule in self._asked.rules if rule.name == "false_rate")])

    def limit(self, key: Key) -> float:
        """The loss from which a finding of this node is HIGH."""
        return self._of("high_loss", key, 0.0)

    def asked(self, key: Key, whole_day: float) -> float | None:
        """The loss from which people want to hear of a node. What they set for everything is meant of a single series:
        a node's loss must be that and a part of what all sell in a day."""
        if (value := self._asked.of("high_loss", key)) is None:
            return None
        named = any(one.name == "high_loss" and one.key[0] and one.fits(key) for one in self._asked.rules)
        return value if named else max(value, sizes.NODE_SHARE * whole_day)

    def _of(self, name: str, key: Key, otherwise: float) -> float:
        if (name, key) not in self._set:
            value = self.limits.of(name, key)
            self._set[name, key] = otherwise if value is None else value
        return self._set[name, key]

    def too_small(
        self, key: Key, rel: float, units: float, least: tuple[float, float] = (REL_LEAST, UNITS_LEAST)
    ) -> bool:
        """Whether a change is less than what people want to hear of this node, or less than ``least`` (relative, in
        units) where they set nothing."""
        return rel < self._of("least_change", key, least[0]) or units < self._of("least_units", key, least[1])

    def level(self, size: Size, key: Key, cls: str, expected: float, sure: float | None = None) -> str:
        """The impact; '' when findings of this kind must be surer than this one is. HIGH is never muted. ``sure``: what
        is compared with the rate at which they are written down, where that is not their q."""
        level = impact(size, self.limit(key))
        if level == "HIGH":
            return level
        # The rate at which such a finding counts: what people set, and what verdicts taught.
        factor = self._of("false_rate", key, Q_LOW) / Q_LOW * self.limits.trust.factor(key[0], cls, expected)
        sure = size.q if sure is None else sure
        return impact(replace(size, q=size.q / factor), self.limit(key)) if sure / factor <= Q_LOW else ""

    def figures(self, row: int, day: int, p: float, q: float, reference: pvalues.Reference) -> Figures:
        """A series' day, with the band in which nineteen of twenty usual days are."""
        actual, mean = float(self.scene.units[row, day]), float(self.expected.units[row, day])
        sigma = float(self.rest.sigma[row, day])
        bucket = self.bucket[row : row + 1, day]
        below = float(reference.size(0.05, -1, bucket)[0]) * sigma
        above = float(reference.size(0.05, 1, bucket)[0]) * sigma
        gap = abs(actual - mean)
        return Figures(
            day=day,
            actual=actual,
            expected=mean,
            lo=max(0.0, (1 + mean) * float(np.exp(-below)) - 1),
            hi=(1 + mean) * float(np.exp(above)) - 1,
            z=float(self.rest.z[row, day]),
            p=p,
            q=q,
            loss=gap * float(self.scene.value[row]),
            loss_units=gap,
        )

    def tested(self, day: int) -> int:
        """How many series a day was asked of."""
        return int(np.isfinite(self.rest.z[:, day]).sum())

    def of_category(self, category: str) -> np.ndarray:
        """Rows of the series of a category, in order."""
        return self.scene.under(("category", category, "", ""))

    def category_a_day(self, category: str, day: int) -> float:
        """What a category was expected to sell that day, in units."""
        return float(np.nansum(self.expected.units[self.of_category(category), day]))

    def covered(self, category: str, day: int) -> bool:
        """Whether the stock of the evening before lasts longer than an order takes to come."""
        stock = self.scene.stock
        row = stock.row(category)
        if row is None or not np.isfinite(stock.lead[row]):
            return False
        known = np.flatnonzero(np.isfinite(stock.on_hand[row, : day + 1]))
        if not len(known):
            return False
        return bool(stock.on_hand[row, known[-1]] > stock.lead[row] * self.category_a_day(category, day))

    def calendar(self, row: int, day: int, direction: int) -> str:
        """Event or promotion of the day; what differs from a week before."""
        code = int(self.scene.event[row, day])
        if code and (self.scene.event[row] == code).mean() <= RARE:
            name, offset = self.scene.events[code]
            side = "the day before " if offset < 0 else "the day after " if offset > 0 else ""
            return f"calendar: {side}{name}"
        today = self.scene.promotion[row, day] > 0.5
        if today:
            return "promotion" if direction > 0 else "promotion without uplift"
        return ""
