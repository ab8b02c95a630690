"""One pass: what of these days was an anomaly, in which class, at which node, and what it costs.

Quality gate, expectation, residuals without common factors, pooled p-values, Benjamini-Hochberg over the tests that
ran, CUSUM for level shifts, roll-up to the highest node that moved as a whole. A day is judged by what was known
before it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from trendcast.anomalies import impact as sizes
from trendcast.anomalies import promotions, pvalues, quality, trend
from trendcast.anomalies.arrays import median, quantile
from trendcast.anomalies.expectation import LEARNING, SHORTEST, Expectation, expect
from trendcast.anomalies.impact import Q_LOW, Size, impact
from trendcast.anomalies.limits import Key, Limits
from trendcast.anomalies.residuals import FAR, FAR_NORMAL, Nodes, Residuals, residuals
from trendcast.anomalies.scene import DIMENSIONS, Scene

VERSION = "2"
NODE_CUT, NODE_BREADTH, NODE_LEAST = 5.0, 0.5, 0.05
MOST_OF_IT = 0.5  # of a node's gap that must be common to its children
LEANING = 1.5  # deviations from which a child moves with its parent
NOTABLE = 2.5
RARE = 0.05  # of all days, up to which an event explains something
REL_LEAST, UNITS_LEAST = 0.10, 2.0
SMALL, LARGE = 20.0, 200.0  # a usual day of series too small for the thresholds of counts, and of such that are not
SLACK, ALARM, WINSOR = 1.1, 2.8, 3.0  # the CUSUM's
NODE_SLACK, NODE_ALARM = 0.75, 10.0  # of what many have in common: it drifts for weeks, and costs more
ENTRY_P = 0.002  # how rare a day must be to be written down at all: in 2,500 series some five a day are, by chance
RUN_P = 1e-4  # of a run of zeros
SHIFT_LEAST = 0.08  # mean size of a level shift, in logarithms


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


@dataclass
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
    parent: tuple[str, str, str, str] | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str, str]:
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
    days, times, given = np.asarray(days, int), _magnified(scene.units), scene
    if times > 1:
        scene = _scaled(scene, times)
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
    calm = ~(np.abs(rest.z_raw) > NOTABLE)
    usual = sizes.usual_loss(scene.units, expected.units, weight, first, calm)
    mind = _Judge(scene, expected, rest, weight, in_money, chosen, usual, first)
    chosen = mind.limits
    entries: list[Entry] = []
    absent = [one for one in faults if one.day == arriving and one.kind in ("MISSING_FEED", "PARTIAL_FEED")]
    told = [one for one in faults if one.day != arriving or one.kind not in ("MISSING_FEED", "PARTIAL_FEED")]
    for day in np.sort(days):
        entries += [_fault(fault) for fault in told if fault.day == day]
        entries += mind.day(int(day))
    high = chosen.of("high_loss", ("", "", "", "")) or 0.0
    found = Found(
        entries, mind.tests, len(scene.units), high, in_money, expected, rest, mind.p, mind.q, waiting=bool(absent)
    )
    return _reduced(found, ready.given, ready.times) if ready.times > 1 else found


def _magnified(units: np.ndarray) -> float:
    """By how much units are to be multiplied to be judged. A retailer who counts turnover in thousands sells 0.8 and
    1.3 a day: those are no low counts, and are judged as large numbers would be. 1 for whole numbers."""
    known = units[np.isfinite(units)]
    if not len(known) or (known == np.round(known)).all():
        return 1.0
    each = [float(np.median(row[np.isfinite(row)])) for row in units if np.isfinite(row).any()]
    level = float(np.median(each))
    return float(10 ** np.ceil(np.log10(LARGE / level))) if 0 < level < SMALL else 1.0


def _scaled(scene: Scene, times: float) -> Scene:
    return replace(
        scene,
        units=scene.units * times,
        forecast=scene.forecast * times,
        value=scene.value / times,
        stock=replace(scene.stock, on_hand=scene.stock.on_hand * times),
    )


def _reduced(found: Found, scene: Scene, times: float) -> Found:
    """What was found, in the scene's own units."""
    in_units = ("actual", "expected", "lo", "hi", "loss_units")
    for entry in found.entries:
        entry.days = [replace(one, **{name: getattr(one, name) / times for name in in_units}) for one in entry.days]
        for name in ("on_hand", *(() if found.in_money else ("limit",))):
            if entry.facts.get(name) is not None:
                entry.facts[name] /= times
    log = np.log1p(found.expected.units / times)
    high = found.high_loss if found.in_money else found.high_loss / times
    return replace(found, expected=replace(found.expected, log=log), high_loss=high)


def _fault(fault: quality.Fault) -> Entry:
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


def cusum(z: np.ndarray, skip: np.ndarray, slack: float = SLACK, limit: float = ALARM) -> tuple[np.ndarray, np.ndarray]:
    """(alarm, start) of shape (S, T): -1, 0 or 1 where the sum of winsorised z passed its limit, and the day on which
    that sum had begun. Days of ``skip`` and unknown ones are passed over; an alarm starts anew (Page 1954)."""
    alarm = np.zeros(z.shape, np.int8)
    start = np.zeros(z.shape, int)
    known = np.isfinite(z) & ~skip
    held = np.clip(np.where(known, z, 0.0), -WINSOR, WINSOR)
    for sign in (1, -1):
        total, since = np.zeros(len(z)), np.full(len(z), -1)
        for day in range(z.shape[1]):
            mine = known[:, day]
            since = np.where(mine & (total <= 0), day, since)
            total = np.where(mine, np.maximum(0.0, total + sign * held[:, day] - slack), total)
            rang = mine & (total > limit)
            alarm[rang, day] = sign
            start[rang, day] = since[rang]
            total[rang] = 0.0
    return alarm, start


def further(z: np.ndarray) -> float:
    """By how much sums of neighbouring days go further than those of independent ones: sqrt((1 + r) / (1 - r)) with r
    the correlation of a day with the one before, over all series."""
    held = np.clip(z, -WINSOR, WINSOR)
    both = np.isfinite(held[:, 1:]) & np.isfinite(held[:, :-1])
    if both.sum() < 500:
        return 1.0
    now, before = held[:, 1:][both], held[:, :-1][both]
    r = float(np.clip((now * before).mean() / max(float((before**2).mean()), 1e-9), 0.0, 0.5))
    return float(np.sqrt((1 + r) / (1 - r)))


def _sure(p: float | np.ndarray) -> Any:
    """A p-value on the scale of the rate at which findings are written down: ``Q_LOW`` at ``ENTRY_P``.

    A false discovery rate alone asks more of each series the more there are, and finds a single one in thousands only
    when it is very far off; what is written down is bounded by how many chance makes of a series' days instead. Levels
    above LOW need the false discovery rate.
    """
    return p * (Q_LOW / ENTRY_P)


class _Judge:
    """The days of one scene, one after the other, against what was ordinary before each."""

    def __init__(
        self,
        scene: Scene,
        expected: Expectation,
        rest: Residuals,
        weight: np.ndarray,
        in_money: bool,
        limits: Limits,
        usual: float,
        first: int,
    ) -> None:
        """``usual``: the loss of a series from which it is HIGH where nobody set one."""
        self.scene, self.expected, self.rest = scene, expected, rest
        self.weight, self.in_money, self.asked = weight, in_money, limits
        self.limits = limits.default("high_loss", usual)
        self.tests = 0
        self.p, self.q = np.full(rest.z.shape, np.nan), np.full(rest.z.shape, np.nan)
        self._known: dict[tuple[str, Key], float] = {}
        self.loosest = max([Q_LOW, *(rule.value for rule in limits.rules if rule.name == "false_rate")])
        eventful = np.isfinite(expected.examples)
        self.testable = np.isfinite(rest.z) & (expected.observed >= SHORTEST)
        ordinary = self.testable & ~eventful & ~scene.masked & ~scene.found & (expected.observed >= LEARNING)
        self.ordinary_z = np.where(ordinary, rest.z, np.nan)
        self.bucket = pvalues.volume(expected.units)
        # Against what was expected before the expectation followed: a shift must not be explained by itself.
        # Days that are off together add up to more than days that are not: their sums go that much further by chance.
        lasting = (rest.z + expected.followed / rest.sigma) / further(rest.z[:, :first])
        # A forecast knew of the event; elsewhere days under one say little about a level.
        self.alarm, self.start = cusum(
            np.where(self.testable, lasting, np.nan), (eventful & ~expected.frozen) | scene.masked
        )
        self.quiet = np.isinf(expected.examples).all(axis=0)
        blind = (eventful & ~expected.frozen).any(axis=0)
        self.node_alarm = [
            cusum(one.z, np.broadcast_to(blind, one.z.shape), NODE_SLACK, NODE_ALARM) for one in rest.nodes
        ]

    def limit(self, key: Key) -> float:
        """The loss from which a finding of this node is HIGH."""
        return self._of("high_loss", key, 0.0)

    def _asked(self, key: Key, whole_day: float) -> float | None:
        """The loss from which people want to hear of a node. What they set for everything is meant of a single series:
        a node's loss must be that and a part of what all sell in a day."""
        if (value := self.asked.of("high_loss", key)) is None:
            return None
        named = any(one.name == "high_loss" and one.key[0] and one.fits(key) for one in self.asked.rules)
        return value if named else max(value, sizes.NODE_SHARE * whole_day)

    def _of(self, name: str, key: Key, otherwise: float) -> float:
        if (name, key) not in self._known:
            value = self.limits.of(name, key)
            self._known[name, key] = otherwise if value is None else value
        return self._known[name, key]

    def _factor(self, key: Key, cls: str, expected: float) -> float:
        """On the false discovery rate at which such a finding counts: what people set, and what verdicts taught."""
        return self._of("false_rate", key, Q_LOW) / Q_LOW * self.limits.trust.factor(key[0], cls, expected)

    def _level(self, size: Size, key: Key, cls: str, expected: float, sure: float | None = None) -> str:
        """The impact; '' when findings of this kind must be surer than this one is. HIGH is never muted. ``sure``: what
        is compared with the rate at which they are written down, where that is not their q."""
        level, factor = impact(size, self.limit(key)), self._factor(key, cls, expected)
        if level == "HIGH":
            return level
        sure = size.q if sure is None else sure
        return impact(replace(size, q=size.q / factor), self.limit(key)) if sure / factor <= Q_LOW else ""

    def day(self, day: int) -> list[Entry]:
        window = slice(max(0, day - pvalues.REFERENCE), day)
        reference = pvalues.Reference(self.ordinary_z[:, window], self.bucket[:, window])
        z = np.where(self.testable[:, day], self.rest.z[:, day], np.nan)
        p = reference.p(z, self.bucket[:, day])
        units, mean = self.scene.units[:, day], self.expected.units[:, day]
        moved = mean * np.exp(self.rest.common[:, day])
        low = np.isfinite(p) & (mean < 20)
        if low.any():
            p[low] = np.maximum(p[low], pvalues.low_count(units[low], moved[low], self.rest.dispersion[low]))
        run, run_p = self._zero_run(day, moved)
        longer = np.isfinite(p) & (run_p < p)
        p = np.where(longer, run_p, p)
        q = pvalues.benjamini_hochberg(p)
        self.tests += int(np.isfinite(p).sum())
        self.p[:, day], self.q[:, day] = p, q
        # What was found is not what is usual: it leaves the reference of the days that follow.
        self.ordinary_z[np.nan_to_num(q, nan=1.0) <= sizes.Q_MEDIUM, day] = np.nan
        nodes, covered = self._nodes(day, window)
        entries: list[Entry] = list(nodes)
        shifted = self.alarm[:, day] != 0
        noted = np.flatnonzero((_sure(np.nan_to_num(p, nan=1.0)) <= self.loosest) | shifted)
        for row in noted:
            entry = self._series(
                int(row), day, float(p[row]), float(q[row]), reference, bool(longer[row]), int(run[row])
            )
            if entry is not None and not self._follows(entry, int(row), day, covered):
                entries.append(entry)
        entries = self._promotions(day, entries, nodes, reference)
        entries = self._supply(day, entries)
        return entries + self._members(day, nodes, reference, {entry.key for entry in entries})

    # Series ----------------------------------------------------------------------------------------------------

    def _zero_run(self, day: int, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Length of the run of zeros that ends on ``day`` and its probability; 1 unless the run is of at least two days
        and longer than any of the half year before. Unknown and closed days neither end a run nor count."""
        first = max(0, day - pvalues.REFERENCE)
        units, closed = self.scene.units[:, first : day + 1], self.scene.closed[:, first : day + 1]
        means = self.expected.units[:, first : day + 1]
        length, p = np.zeros(len(units), int), np.ones(len(units))
        for row in np.flatnonzero((units[:, -1] == 0) & (np.nan_to_num(mean) > 0)):
            counts = np.flatnonzero(np.isfinite(units[row]) & ~closed[row])
            sold = np.flatnonzero(units[row, counts] > 0)
            length[row] = len(counts) - 1 - sold[-1] if len(sold) else len(counts)
            longest = int(np.diff(sold).max(initial=1)) - 1 if len(sold) else 0
            if length[row] < 2 or length[row] <= longest or not len(sold):
                continue
            run = counts[len(counts) - length[row] :]
            chance = float(pvalues.none_sold(np.nan_to_num(means[row, run]), self.rest.dispersion[row : row + 1]).sum())
            if chance < np.log(RUN_P):
                p[row] = np.exp(chance)
        return length, p

    def _series(
        self, row: int, day: int, p: float, q: float, reference: pvalues.Reference, zero_run: bool, run: int
    ) -> Entry | None:
        key = self.scene.keys[row]
        level_name, category, region, store = key
        shift = int(self.alarm[row, day])
        z = float(self.rest.z[row, day])
        direction = -1 if zero_run else shift or int(np.sign(z))
        start = int(self.start[row, day]) if shift else day
        found = _sure(p) <= self.loosest
        if shift and found and shift != np.sign(z):
            shift, start, direction = 0, day, int(np.sign(z))  # a day against the shift is its own matter
        if shift:
            span = np.arange(start, day + 1)
            sizes_since = self.rest.own[row, span] + self.expected.followed[row, span]
            if abs(float(np.nanmean(sizes_since))) < SHIFT_LEAST:
                shift, start = 0, day
        if not shift and not found:
            return None
        span = np.arange(start, day + 1) if shift else np.array([day])
        days = [self._figures(row, int(one), p, q, reference) for one in span if np.isfinite(self.rest.z[row, one])]
        if not days or days[-1].day != day:
            return None
        gap = float(np.mean([abs(one.actual - one.expected) for one in days]))
        base = float(np.mean([one.expected for one in days]))
        rel = gap / base if base > 0 else 1.0
        if rel < self._of("least_change", key, REL_LEAST) or gap < self._of("least_units", key, UNITS_LEAST):
            return None
        cover = self._covered(category, day)
        # A shift is as sure as all its days together, half as much again being allowed for days that go together.
        together = abs(float(np.nansum(self.rest.z[row, span]))) / np.sqrt(len(days)) / 1.5
        size = Size(
            p=p if not shift else float(pvalues.normal(together)) if rel >= sizes.REL_MEDIUM else 1.0,
            q=min(q, sizes.Q_MEDIUM) if shift else q,
            rel=rel,
            loss=gap * self.weight[row],
            shift=bool(shift),
            up=direction > 0,
            covered=cover,
            learning=bool(self.expected.observed[row, day] < LEARNING),
        )
        cls = "ZERO_RUN" if run >= 2 else "SPIKE" if direction > 0 else "DROP"
        if shift and not zero_run:
            window = slice(max(0, day + 1 - trend.WINDOW), day + 1)
            since = trend.before_it(self.rest.own[row], self.expected.followed[row])
            cls = trend.lasting(since[window], self.rest.sigma[row, window])
        level = self._level(size, key, cls, base, min(_sure(p), sizes.Q_MEDIUM) if shift else _sure(p))
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
            cause=self._calendar(row, day, direction),
            facts={
                "sigma": float(self.rest.sigma[row, day]),
                "tests": int(np.isfinite(self.rest.z[:, day]).sum()),
                "limit": self.limit(key),
                "history": int(self.expected.observed[row, day]),
                "frozen": bool(self.expected.frozen[row, day]),
                "common": float(self.rest.common[row, day]),
                **({"run": run} if run >= 2 else {}),
            },
        )

    def _figures(self, row: int, day: int, p: float, q: float, reference: pvalues.Reference) -> Figures:
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

    def _covered(self, category: str, day: int) -> bool:
        """Whether the stock of the evening before lasts longer than an order takes to come."""
        stock = self.scene.stock
        row = stock.row(category)
        if row is None or not np.isfinite(stock.lead[row]):
            return False
        known = np.flatnonzero(np.isfinite(stock.on_hand[row, : day + 1]))
        if not len(known):
            return False
        mine = (self.scene.series["product_category"] == category).to_numpy()
        a_day = float(np.nansum(self.expected.units[mine, day]))
        return bool(stock.on_hand[row, known[-1]] > stock.lead[row] * a_day)

    def _calendar(self, row: int, day: int, direction: int) -> str:
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

    # Nodes -----------------------------------------------------------------------------------------------------

    def _nodes(self, day: int, window: slice) -> tuple[list[Entry], list[tuple[Entry, float]]]:
        """Entries of nodes that moved as a whole, coarsest first; and each with the factor it moved by."""
        found: list[Entry] = []
        covered: list[tuple[Entry, float]] = []
        rest = self.rest.raw[:, day].copy()
        all_nodes = [(number, self._usual(nodes, window)) for number, nodes in enumerate(self.rest.nodes)]
        if not all_nodes:
            return found, covered
        # Each in its own usual movements, nodes of all levels are as rare as one another.
        past = np.concatenate([nodes.z[:, window][nodes.children >= 3] for _, nodes in all_nodes])
        past = np.where(past == 0, np.nan, past)
        reference = pvalues.Reference(past, np.zeros(past.shape, int))
        p_all = [
            reference.p(np.where(nodes.children >= 3, nodes.z[:, day], np.nan), np.zeros(len(nodes.z), int))
            for _, nodes in all_nodes
        ]
        flat = np.concatenate(p_all)
        q_flat = pvalues.benjamini_hochberg(flat)
        self.tests += int(np.isfinite(flat).sum())
        at = 0
        for (number, nodes), p in zip(all_nodes, p_all, strict=True):
            q = q_flat[at : at + len(p)]
            at += len(p)
            alarm, start = self.node_alarm[number]
            strong = (np.abs(nodes.z[:, day]) >= NODE_CUT) & np.isfinite(p)
            for node in np.flatnonzero(strong | (alarm[:, day] != 0)):
                entry = self._node(
                    nodes,
                    int(node),
                    day,
                    float(p[node]),
                    float(q[node]),
                    bool(strong[node]),
                    int(alarm[node, day]),
                    int(start[node, day]),
                    rest,
                )
                if entry is not None:
                    found.append(entry)
                    covered.append((entry, float(nodes.factor[node, day])))
            rest = rest - nodes.taken[:, day]
        return found, covered

    @staticmethod
    def _usual(nodes: Nodes, window: slice) -> Nodes:
        """Nodes with their deviations never in less than a node's own further movements: where little is agreed on for
        most of the time, the middle of all days says nothing of a holiday that one region has."""
        far = quantile(np.abs(nodes.factor[:, window]), FAR, SHORTEST) / FAR_NORMAL
        with np.errstate(divide="ignore", invalid="ignore"):
            most = np.nan_to_num(np.abs(nodes.factor) / far[:, None], nan=np.inf, posinf=np.inf)
        return replace(nodes, z=np.sign(nodes.z) * np.minimum(np.abs(nodes.z), most))

    def _node(
        self,
        nodes: Nodes,
        node: int,
        day: int,
        p: float,
        q: float,
        strong: bool,
        shift: int,
        start: int,
        rest: np.ndarray,
    ) -> Entry | None:
        factor = float(nodes.factor[node, day])
        if strong and shift and shift != np.sign(factor):
            shift = 0
        span = np.arange(start, day + 1) if shift else np.array([day])
        mean_factor = float(nodes.factor[node, span].mean())
        if abs(mean_factor) < NODE_LEAST:
            return None
        direction = int(np.sign(mean_factor))
        rows = np.flatnonzero((nodes.code == node) & np.isfinite(self.rest.raw[:, day]))
        if len(rows) < 3:
            return None
        expected = self.expected.units[rows, day]
        leaning = np.sign(rest[rows]) == direction
        if not shift:
            leaning &= np.abs(rest[rows]) / self.rest.sigma[rows, day] > LEANING
        if expected.sum() <= 0 or (expected * leaning).sum() / expected.sum() < NODE_BREADTH:
            return None
        days = []
        weight = self.weight[rows]
        for one in span:
            known = rows[np.isfinite(self.rest.raw[rows, one])]
            units, mean = self.scene.units[known, one], self.expected.units[known, one]
            total, whole = float(units.sum()), float(mean.sum())
            spread = abs(float(nodes.factor[node, one])) / max(abs(float(nodes.z[node, one])), 1e-9)
            if nodes.z[node, one] == 0 or not np.isfinite(spread):
                spread = 0.05
            gap = units - mean
            value = self.scene.value[known]
            money = abs(float(np.nansum(gap * value))) if np.isfinite(value).any() else np.nan
            days.append(
                Figures(
                    day=int(one),
                    actual=total,
                    expected=whole,
                    lo=whole * float(np.exp(-1.96 * spread)),
                    hi=whole * float(np.exp(1.96 * spread)),
                    z=float(nodes.z[node, one]),
                    p=p,
                    q=q,
                    loss=money,
                    loss_units=abs(float(gap.sum())),
                )
            )
        now = days[-1]
        whole_gap = np.log1p(now.actual) - np.log1p(now.expected)
        if not shift and (np.sign(whole_gap) != direction or abs(factor) < MOST_OF_IT * abs(whole_gap)):
            return None  # the node is off because of some that are, not as a whole
        loss = abs(float(((self.scene.units[rows, day] - expected) * weight).sum()))
        whole_day = float(np.nansum(self.expected.units[:, day] * self.weight))
        rel = float(np.mean([one.loss_units for one in days])) / max(
            float(np.mean([one.expected for one in days])), 1e-9
        )
        name = nodes.names.iloc[node]
        category = str(name["product_category"])
        size = Size(
            p=p if strong else 0.0 if shift else 1.0,  # what has added up so far in so many is certain
            q=min(q, sizes.Q_HIGH) if strong else sizes.Q_MEDIUM,  # that so many go together is as much
            rel=rel,
            loss=loss,
            total=whole_day,
            limit=self._asked((nodes.level, category, str(name["region"]), str(name["store"])), whole_day),
            node=not shift or strong,
            shift=bool(shift) and not strong,
            up=direction > 0,
            covered=bool(category) and self._covered(category, day),
        )
        key = (nodes.level, category, str(name["region"]), str(name["store"]))
        cls = "SPIKE" if direction > 0 else "DROP"
        if shift:
            window = slice(max(0, day + 1 - trend.WINDOW), day + 1)
            since = median(trend.before_it(self.rest.raw[rows], self.expected.followed[rows]).T, 3)
            spread = 1.25 / np.sqrt(len(rows)) * median(self.rest.sigma[rows, window].T, 1)
            cls = trend.lasting(since[window], spread)
        # A small region is a small part of everything; what would be HIGH of a single series is of a whole region too.
        levels = {self._level(one, key, cls, now.expected) for one in (size, replace(size, node=False))}
        level = next((one for one in sizes.LEVELS if one in levels), "")
        if not level or rel < self._of("least_change", key, 0.0) or now.loss_units < self._of("least_units", key, 0.0):
            return None
        contributions = (
            (self.scene.units[rows, day] - expected) / (now.actual - now.expected)
            if now.actual != now.expected
            else np.zeros(len(rows))
        )
        calendar = [self._calendar(int(row), day, direction) for row in rows[:50]]
        common = max(set(calendar), key=calendar.count)
        return Entry(
            day=day,
            level=nodes.level,
            product_category=category,
            region=str(name["region"]),
            store=str(name["store"]),
            kind="DEMAND",
            cls=cls,
            direction=direction,
            start=int(span[0]),
            impact=level,
            score=sizes.score(max((one.z for one in days), key=abs), level),
            rel=rel,
            days=days,
            rows=rows,
            cause=common,
            facts={
                "children": len(rows),
                "leaning": int(leaning.sum()),
                "factor": factor,
                "limit": self.limit(key),
                "tests": int(np.isfinite(self.rest.z[:, day]).sum()),
                "frozen": bool(self.expected.frozen[rows, day].any()),
                "explained": explained(self.scene, rows, contributions),
            },
        )

    def _follows(self, entry: Entry, row: int, day: int, covered: list[tuple[Entry, float]]) -> bool:
        """Whether a series' own finding is but a part of, or an exception to, what its node did."""
        own, raw = float(self.rest.own[row, day]), float(self.rest.raw[row, day])
        for parent, factor in covered:
            if row not in parent.rows:
                continue
            with_it = np.sign(raw) == parent.direction and abs(raw) > 2 * abs(factor) and abs(own) > 0.3
            against = np.sign(raw) == -parent.direction and abs(self.rest.z_raw[row, day]) >= 4
            if not (with_it or against) or entry.cls in trend.LASTING:
                return True
        return False

    def _members(
        self, day: int, nodes: list[Entry], reference: pvalues.Reference, own: set[tuple[str, str, str, str]]
    ) -> list[Entry]:
        """The series that moved notably with a node, as its members; each belongs to the first node it is in."""
        members: list[Entry] = []
        taken: set[int] = set()
        for parent in nodes:
            for row in parent.rows:
                z = float(self.rest.z_raw[row, day])
                if int(row) in taken or np.sign(z) != parent.direction or abs(z) < NOTABLE:
                    continue
                taken.add(int(row))
                level_name, category, region, store = self.scene.keys[int(row)]
                if (level_name, category, region, store) in own:
                    continue
                figures = self._figures(int(row), day, parent.now.p, parent.now.q, reference)
                gap = figures.loss_units
                rel = gap / figures.expected if figures.expected > 0 else 1.0
                size = Size(
                    p=parent.now.p, q=parent.now.q, rel=rel, loss=gap * self.weight[row], up=parent.direction > 0
                )
                level = impact(size, self.limit(self.scene.keys[int(row)]))
                whole = parent.now.actual - parent.now.expected
                members.append(
                    Entry(
                        day=day,
                        level=level_name,
                        product_category=category,
                        region=region,
                        store=store,
                        kind=parent.kind,
                        cls="SPIKE" if parent.direction > 0 else "DROP",
                        direction=parent.direction,
                        start=day,
                        impact=level,
                        score=sizes.score(z, level),
                        rel=rel,
                        days=[Figures(**{**vars(figures), "z": z})],
                        rows=np.array([row]),
                        cause="part of a wider movement",
                        parent=parent.key,
                        facts={"share": (figures.actual - figures.expected) / whole if whole else 0.0},
                    )
                )
        return members

    # Promotions ------------------------------------------------------------------------------------------------

    def _promotions(
        self, day: int, entries: list[Entry], nodes: list[Entry], reference: pvalues.Reference
    ) -> list[Entry]:
        """Promotions whose uplift is absent, in place of what else was said of their series; of one category that is
        one matter. Where a wider fall explains it, that alone is told."""
        missed = {one.row: one for one in promotions.missed(self.scene, self.expected, self.rest, day)}
        if not missed:
            return entries
        self.tests += len(missed)
        lifted = self.scene.promoted[:, day] & np.isfinite(self.rest.raw[:, day])
        lifted[list(missed)] = False
        for node in nodes:
            if node.direction > 0:
                continue
            mine = [row for row in node.rows.tolist() if row in missed]
            # Of one region alone, where the same promotions lift the others, it is the region.
            elsewhere = lifted & ~np.isin(np.arange(len(lifted)), node.rows)
            local = node.level in ("region", "store") and elsewhere.any()
            if len(mine) >= 0.5 * len(node.rows) and node.cls not in trend.LASTING and not local:
                node.cls, node.cause = promotions.CLASS, promotions.CAUSE
                node.facts |= _uplift([missed[row] for row in mine])
            for row in mine:
                del missed[row]
        by_category: dict[str, list[Entry]] = {}
        whole = next((one.taken for one in self.rest.nodes if one.level == "total"), np.zeros(self.rest.raw.shape))
        for row, one in missed.items():
            # What all promotions of these days lacked is no matter of one of them.
            rest = self.rest.raw[row, one.days] - whole[row, one.days]
            if float(rest.mean()) > -(1 - promotions.ABSENT) * one.lift:
                continue
            entry = self._without_uplift(row, day, one, reference)
            if entry is not None:
                by_category.setdefault(entry.product_category, []).append(entry)
        instead = {entry.key for found in by_category.values() for entry in found}
        result = [one for one in entries if one in nodes or one.key not in instead or one.direction > 0]
        for category, found in by_category.items():
            ran = lifted | np.isin(np.arange(len(lifted)), [one.rows[0] for one in found])
            ran &= (self.scene.series["product_category"] == category).to_numpy()
            most = len(found) > 1 and len(found) >= 0.5 * ran.sum()
            lead = self._category(category, day, found) if most and category else None
            if lead is not None and lead.key not in {one.key for one in result}:
                self._under(lead, found)
                result.append(lead)
            result += found
        return result

    def _without_uplift(self, row: int, day: int, one: promotions.Missed, reference: pvalues.Reference) -> Entry | None:
        key = self.scene.keys[row]
        days = [self._figures(row, int(when), one.p, one.q, reference) for when in one.days]
        gap = float(np.mean([max(0.0, figures.expected - figures.actual) for figures in days]))
        base = float(np.mean([figures.expected for figures in days]))
        rel = gap / base if base > 0 else 1.0
        if rel < self._of("least_change", key, REL_LEAST) or gap < self._of("least_units", key, UNITS_LEAST):
            return None
        size = Size(p=one.p, q=one.q, rel=rel, loss=gap * self.weight[row])
        level = self._level(size, key, promotions.CLASS, base)
        if not level:
            return None
        return Entry(
            day=day,
            level=key[0],
            product_category=key[1],
            region=key[2],
            store=key[3],
            kind="DEMAND",
            cls=promotions.CLASS,
            direction=-1,
            start=int(one.days[0]),
            impact=level,
            score=sizes.score(one.z, level),
            rel=rel,
            days=days,
            rows=np.array([row]),
            cause=promotions.CAUSE,
            facts={
                "sigma": float(self.rest.sigma[row, day]),
                "limit": self.limit(key),
                "frozen": bool(self.expected.frozen[row, day]),
                **_uplift([one]),
            },
        )

    @staticmethod
    def _under(lead: Entry, found: list[Entry]) -> None:
        """Make entries the members of another."""
        whole = min(lead.now.actual - lead.now.expected, -1e-9)
        for one in found:
            if one is not lead:
                one.parent = lead.key
                one.facts["share"] = (one.now.actual - one.now.expected) / whole

    # Supply ----------------------------------------------------------------------------------------------------

    def _supply(self, day: int, entries: list[Entry]) -> list[Entry]:
        """Drops of a category that was out of stock are a matter of supply, and of one category one matter."""
        stock = self.scene.stock
        result: list[Entry] = []
        short: dict[str, list[Entry]] = {}
        for entry in entries:
            category = entry.product_category
            row = stock.row(category) if category and entry.direction < 0 else None
            if row is None:
                result.append(entry)
                continue
            a_day = float(
                np.nansum(self.expected.units[(self.scene.series["product_category"] == category).to_numpy(), day])
            )
            on_hand = stock.on_hand[row, day]
            if stock.out[row, day] or (np.isfinite(on_hand) and on_hand < 0.1 * a_day):
                entry.kind, entry.cls, entry.cause = "SUPPLY", "STOCK_OUT", "stock-out"
                entry.facts["on_hand"] = None if np.isnan(on_hand) else float(on_hand)
                short.setdefault(category, []).append(entry)
            else:
                result.append(entry)
        for category, found in short.items():
            lead = next((one for one in found if one.level == "category"), None)
            if lead is None and (len(found) > 1 or found[0].level != "category"):
                lead = self._category(category, day, found)
            if lead is None:
                lead = found[0]
            self._under(lead, found)
            result += [lead, *(one for one in found if one is not lead)]
        return result

    def _category(self, category: str, day: int, found: list[Entry]) -> Entry | None:
        """The category as a whole, when some of its series are off for one reason; None when it did not sell less."""
        rows = np.flatnonzero((self.scene.series["product_category"] == category).to_numpy())
        rows = rows[np.isfinite(self.rest.raw[rows, day])]
        units, mean = self.scene.units[rows, day], self.expected.units[rows, day]
        actual, expected = float(units.sum()), float(mean.sum())
        if actual >= expected or len(rows) < 2:
            return None
        strongest = max(found, key=lambda one: (one.impact == "HIGH", one.impact == "MEDIUM", one.now.loss_units))
        value = self.scene.value[rows]
        gap = expected - actual
        loss = float(np.nansum((mean - units) * value)) if np.isfinite(value).any() else np.nan
        spread = float(np.sqrt(((mean * self.rest.sigma[rows, day]) ** 2).sum())) / expected
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
            facts={**strongest.facts, "children": len(rows), "leaning": len(found)},
        )


def _uplift(missed: list[promotions.Missed]) -> dict[str, float]:
    """What past promotions brought and what this one did, as a share of what is sold without one."""
    return {
        "lift": float(np.expm1(np.mean([one.lift for one in missed]))),
        "came": float(np.expm1(np.mean([one.came for one in missed]))),
    }


def explained(scene: Scene, rows: np.ndarray, share: np.ndarray) -> list[dict[str, Any]]:
    """What makes up most of a node's gap: the smallest set of names that explains two thirds, in the dimension whose
    names differ most from their usual parts (after Adtributor, NSDI 2014); empty when none stands out."""
    best: list[dict[str, Any]] = []
    best_surprise = 0.02
    usual = np.nan_to_num(scene.units[rows]).mean(axis=1)
    usual = usual / max(usual.sum(), 1e-9)
    for column in DIMENSIONS:
        names = scene.series[column].to_numpy(object)[rows]
        unique, code = np.unique(names.astype(str), return_inverse=True)
        if len(unique) < 2:
            continue
        part, normal = np.bincount(code, share), np.bincount(code, usual)
        order = np.argsort(-part)
        count = int(np.searchsorted(np.cumsum(part[order]), 0.67) + 1)
        middle = (np.clip(part, 1e-9, None) + np.clip(normal, 1e-9, None)) / 2
        surprise = float(
            0.5 * (np.clip(part, 1e-9, None) * np.log(np.clip(part, 1e-9, None) / middle)).sum()
            + 0.5 * (np.clip(normal, 1e-9, None) * np.log(np.clip(normal, 1e-9, None) / middle)).sum()
        )
        if count <= max(1, len(unique) // 3) and count <= 5 and surprise > best_surprise:
            best_surprise = surprise
            best = [{"dimension": column, "name": str(unique[i]), "share": float(part[i])} for i in order[:count]]
    return best
