"""One pass: what of these days was an anomaly, in which class, at which node, and what it costs.

Quality gate, expectation, residuals without common factors, pooled p-values, Benjamini-Hochberg over the tests that
ran, CUSUM for level shifts, roll-up to the highest node that moved as a whole. A day is judged by what was known
before it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trendcast.anomalies import impact as sizes
from trendcast.anomalies import nodes, promotions, pvalues, quality, series
from trendcast.anomalies.cusum import NODE_ALARM, NODE_SLACK, cusum, further
from trendcast.anomalies.entries import Entry, Found, of_fault
from trendcast.anomalies.expectation import LEARNING, SHORTEST, Expectation, expect
from trendcast.anomalies.judging import NOTABLE, Judge, as_rate
from trendcast.anomalies.limits import Limits
from trendcast.anomalies.promotion_entries import without_uplift
from trendcast.anomalies.residuals import LOW_COUNT, Residuals, residuals
from trendcast.anomalies.scaling import magnified, reduced, scaled
from trendcast.anomalies.scene import Scene
from trendcast.anomalies.supply import short_of_stock

VERSION = "4"


@dataclass(frozen=True, eq=False)
class Prepared:
    """What days are judged by, before any limit: ``times`` as many units as the ``given`` scene has."""

    given: Scene
    scene: Scene
    times: float
    days: np.ndarray
    expected: Expectation
    faults: list[quality.Fault]
    rest: Residuals


def detect(
    scene: Scene,
    days: np.ndarray,
    limits: Limits | Mapping[str, float] | None = None,
    arriving: int | None = None,
) -> Found:
    """Judge ``days`` (indices). ``limits``: what people set; a mapping is of the money (units without prices) from
    which a category's loss is HIGH, '' for all; without one it is the 95th of a hundred usual losses. ``arriving``: a
    day whose rows may still come; that some are absent is not told (``waiting`` says that it would have been)."""
    return judge(prepare(scene, days), limits, arriving)


def prepare(scene: Scene, days: np.ndarray) -> Prepared:
    """The part of a detection that no limit changes: expectation, quality gate and residuals."""
    days, times, given = np.asarray(days, int), magnified(scene.units), scene
    if times > 1:
        scene = scaled(scene, times)
    expected = expect(scene)
    faults = quality.check(scene, expected, days)
    rest = residuals(scene, expected, quality.held(scene, faults), days)
    return Prepared(given, scene, times, days, expected, faults, rest)


def judge(ready: Prepared, limits: Limits | Mapping[str, float] | None = None, arriving: int | None = None) -> Found:
    """What of the days that were prepared is notable under these limits."""
    scene, expected, rest, days, faults = ready.scene, ready.expected, ready.rest, ready.days, ready.faults
    chosen = Limits.plain(limits)
    in_money = bool(np.isfinite(scene.value).any())
    if ready.times > 1:
        chosen = chosen.times(ready.times, ("least_units",) if in_money else ("least_units", "high_loss"))
    known = np.isfinite(scene.value)
    weight = np.where(known, scene.value, np.median(scene.value[known]) if in_money else 1.0)
    first = int(days.min()) if len(days) else scene.days
    calm = ~(np.abs(rest.raw / rest.sigma) > NOTABLE)
    usual = sizes.usual_loss(scene.units, expected.units, weight, first, calm)
    judging = Judge(scene, expected, rest, weight, chosen, usual)
    one_by_one = _Pass(judging, first)
    entries: list[Entry] = []
    absent = [one for one in faults if one.day == arriving and one.kind in ("MISSING_FEED", "PARTIAL_FEED")]
    for day in np.sort(days):
        entries += [of_fault(fault) for fault in faults if fault.day == day and fault not in absent]
        entries += one_by_one.day(int(day))
    found = Found(
        entries,
        tests=one_by_one.tests,
        series=len(scene.units),
        high_loss=judging.limit(("", "", "", "")),
        in_money=in_money,
        expected=expected,
        rest=rest,
        p=one_by_one.p,
        q=one_by_one.q,
        waiting=bool(absent),
    )
    return reduced(found, ready.given, ready.times) if ready.times > 1 else found


class _Pass:
    """The days of one scene, one after the other, against what was ordinary before each."""

    def __init__(self, judge: Judge, first: int) -> None:
        """``first``: the earliest day that is judged."""
        self.judge, self.rest = judge, judge.rest
        scene, expected, rest = judge.scene, judge.expected, judge.rest
        self.tests = 0
        self.p, self.q = np.full(rest.z.shape, np.nan), np.full(rest.z.shape, np.nan)
        eventful = np.isfinite(expected.examples)
        self.testable = np.isfinite(rest.z) & (expected.observed >= SHORTEST)
        ordinary = self.testable & ~eventful & ~scene.masked & ~scene.found & (expected.observed >= LEARNING)
        self.ordinary_z = np.where(ordinary, rest.z, np.nan)
        # Against what was expected before the expectation followed: a shift must not be explained by itself.
        # Days that are off together add up to more than days that are not: their sums go that much further by chance.
        lasting = (rest.z + expected.followed / rest.sigma) / further(rest.z[:, :first])
        # A forecast knew of the event; elsewhere days under one say little about a level.
        unknown = eventful & ~expected.frozen
        self.shifts = cusum(np.where(self.testable, lasting, np.nan), unknown | scene.masked)
        blind = unknown.any(axis=0)
        self.node_shifts = [
            cusum(one.z, np.broadcast_to(blind, one.z.shape), NODE_SLACK, NODE_ALARM) for one in rest.nodes
        ]

    def day(self, day: int) -> list[Entry]:
        """The entries of a day: nodes that moved as a whole, series beside them, then what failed promotions and
        empty shelves explain, and the members of the nodes."""
        judge = self.judge
        window = slice(max(0, day - pvalues.REFERENCE), day)
        reference = pvalues.Reference(self.ordinary_z[:, window], judge.bucket[:, window])
        p, run, longer = self._tested(day, reference)
        q = pvalues.benjamini_hochberg(p)
        self.tests += int(np.isfinite(p).sum())
        self.p[:, day], self.q[:, day] = p, q
        # What was found is not what is usual: it leaves the reference of the days that follow.
        self.ordinary_z[np.nan_to_num(q, nan=1.0) <= sizes.Q_MEDIUM, day] = np.nan
        moved, tests = nodes.moved(judge, self.node_shifts, day, window)
        self.tests += tests
        moved += nodes.several(judge, day, moved)
        entries = list(moved)
        certain = as_rate(np.nan_to_num(p, nan=1.0)) <= judge.loosest
        for row in np.flatnonzero(certain | (self.shifts.alarm[:, day] != 0)).tolist():
            entry = series.judged(
                judge, row, day, float(p[row]), float(q[row]), reference, self.shifts, bool(longer[row]), int(run[row])
            )
            if entry is not None and not nodes.follows(judge, entry, row, day, moved):
                entries.append(entry)
        failed = promotions.missed(judge.scene, judge.expected, self.rest, day)
        self.tests += len(failed)
        entries = without_uplift(judge, day, failed, entries, moved, reference)
        entries = short_of_stock(judge, day, entries)
        wholes = [one for one in entries if one.parent is None and len(one.rows) > 1 and one not in moved]
        return entries + nodes.members(judge, day, [*moved, *wholes], reference, {entry.key for entry in entries})

    def _tested(self, day: int, reference: pvalues.Reference) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(S,) each: p, NaN without a test; the length of the run of zeros; whether p is of that run."""
        p = reference.p(np.where(self.testable[:, day], self.rest.z[:, day], np.nan), self.judge.bucket[:, day])
        units, mean = self.judge.scene.units[:, day], self.judge.expected.units[:, day]
        moved = mean * np.exp(self.rest.common[:, day])
        low = np.isfinite(p) & (mean < LOW_COUNT)
        if low.any():
            p[low] = np.maximum(p[low], pvalues.low_count(units[low], moved[low], self.rest.dispersion[low]))
        run, run_p = series.zero_runs(self.judge, day, moved)
        longer = np.isfinite(p) & (run_p < p)
        return np.where(longer, run_p, p), run, longer
