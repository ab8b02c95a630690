"""What is told of a single series: a day far off, a run of zeros, or a shift that its small deviations add up to."""

from __future__ import annotations

import numpy as np

from trendcast.anomalies import impact as sizes
from trendcast.anomalies import pvalues, trend
from trendcast.anomalies.cusum import Alarms
from trendcast.anomalies.entries import Entry
from trendcast.anomalies.expectation import LEARNING
from trendcast.anomalies.impact import Size
from trendcast.anomalies.judging import Judge, as_rate

RUN_P = 1e-4  # of a run of zeros
SHIFT_LEAST = 0.08  # mean size of a level shift, in logarithms


def zero_runs(judge: Judge, day: int, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Length of the run of zeros that ends on ``day`` and its probability, (S,) each; 1 unless the run is of at least
    two days and longer than any of the half year before. ``mean`` (S,): what was expected of that day. Unknown and
    closed days neither end a run nor count."""
    first = max(0, day - pvalues.REFERENCE)
    units, closed = judge.scene.units[:, first : day + 1], judge.scene.closed[:, first : day + 1]
    means = judge.expected.units[:, first : day + 1]
    length, p = np.zeros(len(units), int), np.ones(len(units))
    for row in np.flatnonzero((units[:, -1] == 0) & (np.nan_to_num(mean) > 0)):
        counts = np.flatnonzero(np.isfinite(units[row]) & ~closed[row])
        sold = np.flatnonzero(units[row, counts] > 0)
        length[row] = len(counts) - 1 - sold[-1] if len(sold) else len(counts)
        longest = int(np.diff(sold).max(initial=1)) - 1 if len(sold) else 0
        if length[row] < 2 or length[row] <= longest or not len(sold):
            continue
        run = counts[len(counts) - length[row] :]
        chance = float(pvalues.none_sold(np.nan_to_num(means[row, run]), judge.rest.dispersion[row : row + 1]).sum())
        if chance < np.log(RUN_P):
            p[row] = np.exp(chance)
    return length, p


def judged(
    judge: Judge,
    row: int,
    day: int,
    p: float,
    q: float,
    reference: pvalues.Reference,
    shifts: Alarms,
    zero_run: bool,
    run: int,
) -> Entry | None:
    """What is to be told of a series' day, if anything. ``shifts``: the alarms of its sums; ``run``: how many days in
    a row it sold nothing, ``zero_run`` whether ``p`` is of that."""
    key = judge.scene.keys[row]
    level_name, category, region, store = key
    shift, start = shifts.at(row, day)
    z = float(judge.rest.z[row, day])
    direction = -1 if zero_run else shift or int(np.sign(z))
    found = as_rate(p) <= judge.loosest
    window = slice(max(0, day + 1 - trend.WINDOW), day + 1)
    if shift:
        since = trend.before_it(judge.rest.own[row], judge.expected.followed[row])[window]
        sigma = judge.rest.sigma[row, window]
    if shift and found and (shift != np.sign(z) or trend.of_today(since, sigma)):
        # A day against the shift is its own matter, and one that is found by itself is no shift yet.
        shift, start, direction = 0, day, int(np.sign(z))
    if shift:
        span = np.arange(start, day + 1)
        sizes_since = judge.rest.own[row, span] + judge.expected.followed[row, span]
        if abs(float(np.nanmean(sizes_since))) < SHIFT_LEAST:
            shift, start = 0, day
    if not shift and not found:
        return None
    span = np.arange(start, day + 1) if shift else np.array([day])
    days = [judge.figures(row, int(one), p, q, reference) for one in span if np.isfinite(judge.rest.z[row, one])]
    if not days or days[-1].day != day:
        return None
    if shift and direction * sum(one.actual - one.expected for one in days) < 0:
        return None  # only all that moved together, and is not a matter of this one, leans that way
    gap = float(np.mean([abs(one.actual - one.expected) for one in days]))
    base = float(np.mean([one.expected for one in days]))
    rel = gap / base if base > 0 else 1.0
    if judge.too_small(key, rel, gap):
        return None
    # A shift is as sure as all its days together, half as much again being allowed for days that go together.
    together = abs(float(np.nansum(judge.rest.z[row, span]))) / np.sqrt(len(days)) / 1.5
    size = Size(
        p=p if not shift else float(pvalues.normal(together)) if rel >= sizes.REL_MEDIUM else 1.0,
        q=min(q, sizes.Q_MEDIUM) if shift else q,
        rel=rel,
        loss=gap * judge.weight[row],
        shift=bool(shift),
        up=direction > 0,
        covered=judge.covered(category, day),
        learning=bool(judge.expected.observed[row, day] < LEARNING),
    )
    cls = "ZERO_RUN" if run >= 2 else "SPIKE" if direction > 0 else "DROP"
    if shift and not zero_run:
        cls = trend.lasting(since, sigma)
    level = judge.level(size, key, cls, base, min(as_rate(p), sizes.Q_MEDIUM) if shift else as_rate(p))
    if not level:
        return None
    strongest = max((one.z for one in days), key=abs)
    return Entry(
        day=day,
        level=level_name,
        product_category=category,
        region=region,
        store=store,
        kind="DEMAND",
        cls=cls,
        direction=direction,
        start=start,
        impact=level,
        score=sizes.score(strongest, level),
        rel=rel,
        days=days,
        rows=np.array([row]),
        cause=judge.calendar(row, day, direction),
        facts={
            "sigma": float(judge.rest.sigma[row, day]),
            "tests": judge.tested(day),
            "limit": judge.limit(key),
            "history": int(judge.expected.observed[row, day]),
            "frozen": bool(judge.expected.frozen[row, day]),
            "common": float(judge.rest.common[row, day]),
            **({"run": run} if run >= 2 else {}),
        },
    )
