"""Promotions that did not lift sales: a finding of its own, over all days the promotion has run so far.

Asked only where its uplift was learnt: from at least three earlier promotions of the series, and a lift worth the name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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
BELOW = 0.15  # in logarithms, that may be sold less than without a promotion for all that
LONGEST = 14  # last days of the promotion that are looked at together
SURE, CERTAIN = 0.02, 2e-3  # false discovery rate, or p of one in thousands: on most days no promotion fails
OTHERS = 8  # promotions that what all are like counts for


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
    are surely weaker than past ones were, by how these went. What sold far less than without any promotion is no
    such case."""
    on = scene.promoted
    candidates = np.flatnonzero(on[:, day] & np.isfinite(rest.raw[:, day]) & (expected.lift[:, day] >= LEAST_LIFT))
    tests: list[Missed] = []
    sold_less: list[bool] = []
    each: list[tuple[int, np.ndarray, float, float, np.ndarray, float]] = []
    for row in candidates:
        start = _begun(on[row], day)
        span = np.arange(max(start, day + 1 - LONGEST), day + 1)
        span = span[np.isfinite(rest.raw[row, span]) & ~(scene.event[row, span] > 0)]
        if not len(span) or span[-1] != day or expected.observed[row, day] < LEARNING:
            continue
        past = _past(scene, rest, int(row), start)
        runs = _runs(past, rest.raw[row, :start] + expected.lift[row, :start], len(span))
        if len(runs) < PAST:
            continue
        scale = max(float(rest.sigma[row, day]), MAD * _usual(rest, int(row), start))
        each.append((int(row), span, float(rest.raw[row, span].mean()), scale, runs, float(past.sum())))
    if not each:
        return []
    from scipy.special import stdtr

    # How far promotions of a series go apart is known from a few of its own, and from those of all.
    shared = float(np.median([runs.var(ddof=1) for *_, runs, _ in each]))
    for place, span, gap, scale, runs, days in each:
        count = len(runs)
        between = ((count - 1) * runs.var(ddof=1) + OTHERS * shared) / (count - 1 + OTHERS)
        # One error for what chance makes of each day so far, or of past promotions as they went, if that is more.
        error = np.sqrt(max(scale**2 * (1 / len(span) + 1 / days), between * (1 + 1 / count)))
        lift = float(expected.lift[place, span].mean())
        brought = (lift * 2 + float(runs.sum())) / (count + 2)  # often less than what is expected of them
        z = (lift + gap - min(lift, brought)) / float(error)
        # Below 0: a day sold far less than without a promotion.
        least = float((rest.raw[place, span] + lift + np.maximum(BELOW, 2 * rest.sigma[place, span])).min())
        p = float(stdtr(count - 1 + OTHERS, z))
        tests.append(Missed(place, span, lift, lift + gap, z, p, np.nan))
        sold_less.append(least < 0)
    q = benjamini_hochberg(np.array([one.p for one in tests]))
    return [
        replace(one, q=float(rate))
        for one, rate, less in zip(tests, q, sold_less, strict=True)
        if (rate <= SURE or one.p <= CERTAIN) and one.came <= ABSENT * one.lift and not less
    ]


def absent(
    scene: Scene, expected: Expectation, rest: Residuals, row: int, day: int, p: float, q: float
) -> Missed | None:
    """The promotion whose uplift it is that is missing where a series was found to sell too little, so surely; None
    where that is a drop.

    It is the uplift where the promotion has sold about as much as nothing promoted sells, from its first day on, and
    the days before it were as usual. Days under an event tell as well: that something is missing was asked before.
    """
    lift = float(expected.lift[row, day])
    if not scene.promoted[row, day] or not lift >= LEAST_LIFT:
        return None
    start = _begun(scene.promoted[row], day)
    before = rest.raw[row, max(0, start - 7) : start]
    if len(_runs(_past(scene, rest, row, start), rest.raw[row, :start], 1)) < PAST:
        return None
    span = np.arange(start, day + 1)
    span = span[np.isfinite(rest.raw[row, span])]
    common = next((one.taken[row, span] for one in rest.nodes if one.level == "total"), np.zeros(len(span)))
    lifts = expected.lift[row, span]
    came = lifts + rest.raw[row, span] - common
    if len(before[np.isfinite(before)]) and float(np.nanmedian(before)) <= -(1 - ABSENT) * lift:
        return None
    first, came, lifts, span = came[0], came[-LONGEST:], lifts[-LONGEST:], span[-LONGEST:]
    lift, brought = float(lifts.mean()), float(came.mean())
    gone = max(brought, float(np.median(came))) <= ABSENT * lift and first <= (1 + ABSENT) / 2 * lift
    if not gone or brought < -BELOW or came[-1] < -max(BELOW, MAD * _usual(rest, row, start)):
        return None
    return Missed(row, span, lift, brought, float(rest.z[row, day]), p, q)


def _begun(on: np.ndarray, day: int) -> int:
    """The first day of the promotion that runs on ``day``."""
    return int(np.flatnonzero(~on[:day]).max(initial=-1)) + 1


def _past(scene: Scene, rest: Residuals, row: int, start: int) -> np.ndarray:
    """bool (start,): the days of earlier promotions that say what they bring."""
    past = scene.promoted[row, :start] & np.isfinite(rest.raw[row, :start]) & ~scene.masked[row, :start]
    return past & ~(scene.event[row, :start] > 0)


def _usual(rest: Residuals, row: int, start: int) -> float:
    """How far the series usually is from what was expected of it before the promotion, in logarithms."""
    usual = rest.raw[row, max(0, start - WINDOW) : start]
    usual = usual[np.isfinite(usual)]
    return float(np.median(np.abs(usual))) if len(usual) else 0.0


def _runs(past: np.ndarray, rest: np.ndarray, length: int) -> np.ndarray:
    """What each past promotion brought in as many of its first days."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], past, [False]]).astype(np.int8)))
    return np.array([rest[begin : min(end, begin + length)].mean() for begin, end in edges.reshape(-1, 2)])
