"""Promotions that did not lift sales: a finding of its own, over all days the promotion has run so far.

Asked only where its uplift was learnt: from at least three earlier promotions of the series, and a lift worth the name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trendcast.anomalies.expectation import LEARNING, Expectation
from trendcast.anomalies.pvalues import benjamini_hochberg
from trendcast.anomalies.residuals import MAD, WINDOW, Residuals
from trendcast.anomalies.scene import Scene

CLASS = "PROMO_WITHOUT_UPLIFT"
CAUSE = "promotion without uplift"
PAST = 3  # promotions the uplift was learnt from, at least
LEAST_LIFT = 0.15  # in logarithms
ABSENT = 0.5  # of the uplift, from which it is absent
LONGEST = 14  # days of the promotion that are looked at together
SURE = 0.02  # false discovery rate: on most days no promotion fails


@dataclass(frozen=True)
class Missed:
    """A promotion of one series whose uplift is not there. ``lift`` and ``came`` in logarithms; ``days`` so far."""

    row: int
    days: np.ndarray
    lift: float
    came: float
    z: float
    p: float
    q: float


def missed(scene: Scene, expected: Expectation, rest: Residuals, day: int) -> list[Missed]:
    """The promotions that ran on ``day`` and by then had sold half of their uplift less than past ones; those that
    stay at a false discovery rate of 2 % among all that ran. What sold less than without any promotion is no
    such case."""
    from scipy.stats import norm

    on = scene.promoted
    candidates = np.flatnonzero(on[:, day] & np.isfinite(rest.raw[:, day]) & (expected.lift[:, day] >= LEAST_LIFT))
    tests: list[Missed] = []
    sold_less: list[bool] = []
    for row in candidates:
        start = day
        while start > 0 and on[row, start - 1] and day - start < LONGEST - 1:
            start -= 1
        past = on[row, :start] & np.isfinite(scene.units[row, :start]) & ~scene.masked[row, :start]
        begun = past & ~np.concatenate([[False], past[:-1]])
        span = np.arange(start, day + 1)
        span = span[np.isfinite(rest.raw[row, span]) & ~(scene.event[row, span] > 0)]
        if begun.sum() < PAST or not len(span) or span[-1] != day or expected.observed[row, day] < LEARNING:
            continue
        usual = rest.raw[row, max(0, start - WINDOW) : start]
        usual = usual[np.isfinite(usual)]
        scale = max(float(rest.sigma[row, day]), MAD * float(np.median(np.abs(usual))) if len(usual) else 0.0)
        # One error for each day so far, and one for what the uplift was learnt from.
        error = scale * float(np.sqrt(1 / len(span) + 1 / past.sum()))
        gaps, lift = rest.raw[row, span], float(expected.lift[row, span].mean())
        gap = float(gaps.mean())
        # Below 0: a day sold less than without a promotion.
        least = float((gaps + lift + np.maximum(0.1, 2 * rest.sigma[row, span])).min())
        z = gap / error
        tests.append(Missed(int(row), span, lift, lift + gap, z, float(norm.cdf(z)), np.nan))
        sold_less.append(least < 0)
    q = benjamini_hochberg(np.array([one.p for one in tests]))
    return [
        Missed(one.row, one.days, one.lift, one.came, one.z, one.p, float(rate))
        for one, rate, less in zip(tests, q, sold_less, strict=True)
        if rate <= SURE and one.came <= ABSENT * one.lift and not less
    ]
