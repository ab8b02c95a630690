"""What is left when the expectation is taken away: common factors, scale, and how many deviations a day was off.

The factors of a day (everything, a region, a store, a category) are what more than half of the series below agree on;
each is a series of its own, so that one outage is one finding. A scale is never zero: a series cannot be surer than its
counts allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from trendcast.anomalies.arrays import Ordered, at_once, median, quantile
from trendcast.anomalies.expectation import LEARNING, SHORTEST, Expectation
from trendcast.anomalies.limits import Key
from trendcast.anomalies.scene import Scene

WINDOW = 112
MAD = 1.4826
FAR, FAR_NORMAL = 0.97, 2.17  # a quantile of sizes, and where it lies for a normal distribution
LOW_COUNT = 20.0  # expected units a day below which counts, not logarithms, are compared
TELLS = 5.0  # expected units a day below which a series says nothing about a common factor
FLOOR = 0.02
USUAL = 2.5  # deviations up to which a factor's middle is believed without everybody's agreement
UNSURE = 0.31  # deviation, in logarithms, of an event that was never seen before
UNSURE_FROZEN = 0.15  # and where a forecast says what it does
# How far series go on a day against other days: which quantile of them is compared, how much less or more may come of
# it, and the number of series from which half of that is believed.
RESTLESS = (0.5, 0.7, 3.0, 100)
RESTLESS_REGION = (0.9, 0.8, 4.0, 20)
ASKED, ASKED_NODE = 2_000, 200  # series that are enough to know how far all go, and what a node's middle one is like
ALIKE = 0.25  # of a series' scale, in logarithms, that is the one of all
ENOUGH = 3  # others from which the usual movements of a node are taken off each of its series
FEW = 12  # series of a node that are few enough for one of them to matter in what they agree on
STEP = 7  # days for which the scale of the past is kept
# Levels that may move together, coarsest first, and the columns that tell their nodes apart.
LEVELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("total", ()),
    ("region", ("region",)),
    ("store", ("region", "store")),
    ("category", ("product_category",)),
    ("category_region", ("product_category", "region")),
)


@dataclass(frozen=True, eq=False)
class Nodes:
    """The nodes of one level: ``code`` (S,) node of each series, ``names`` their dimensions, ``factor`` (N, T) what
    their series agree on, after the coarser levels; ``z`` (N, T) in its own deviations; ``children`` (N,) their number;
    ``taken`` (S, T) what was taken off each series for it."""

    level: str
    code: np.ndarray
    names: pd.DataFrame
    factor: np.ndarray
    z: np.ndarray
    children: np.ndarray
    taken: np.ndarray

    def key(self, node: int) -> Key:
        """Level, category, region and store of a node."""
        name = self.names.iloc[node]
        return (self.level, str(name["product_category"]), str(name["region"]), str(name["store"]))


@dataclass(frozen=True, eq=False)
class Residuals:
    """``raw`` and ``own`` (S, T): log residual before and after the factors; ``sigma``, a series' own scale; ``z`` in
    deviations that are wider on days on which its region scatters. ``z_raw`` and ``z_alone``, before and after the
    factors, in those of the series alone: of the days to be judged, NaN on others. ``common`` what the factors took;
    ``dispersion`` (S,) of the counts."""

    raw: np.ndarray
    own: np.ndarray
    sigma: np.ndarray
    z: np.ndarray
    z_raw: np.ndarray
    z_alone: np.ndarray
    common: np.ndarray
    dispersion: np.ndarray
    nodes: list[Nodes]


def residuals(scene: Scene, expected: Expectation, held: np.ndarray, days: np.ndarray) -> Residuals:
    """The residuals of every day, not known where ``held`` (S, T). ``days``: those to be judged, whose scale is of the
    112 days just before; that of other days is at most a week older."""
    raw = np.where(scene.closed | held, np.nan, np.log1p(scene.units) - expected.log)
    speaking = np.where(expected.units >= TELLS, raw, np.nan)
    common = np.zeros(raw.shape)
    nodes: list[Nodes] = []
    for level, columns in LEVELS:
        found = _level(scene.series, level, columns)
        if found is None:
            continue
        code, names, children = found
        factor, taken = _factors(speaking, code, len(names), days)
        common += taken
        speaking = speaking - taken
        nodes.append(Nodes(level, code, names, factor, np.zeros_like(factor), children, taken))
    own = raw - common
    widen = _widen(expected)
    learnable = np.where(scene.masked | np.isfinite(expected.examples), np.nan, own)
    sigma = _scale(learnable, expected, widen, days)
    sigma = sigma * _further(np.where(expected.units >= TELLS, np.abs(own / sigma), np.nan), *RESTLESS)
    scattered = _scattered(own / sigma, expected, scene.series["region"].to_numpy(object))
    dispersion = _dispersion(scene, expected, learnable, days)
    z = _score(scene.units, expected.units, common, own, sigma * scattered, dispersion, widen)

    def alone(factors: np.ndarray, rest: np.ndarray) -> np.ndarray:
        units, mean, factors, rest, scale, wider = (
            one[:, days] for one in (scene.units, expected.units, factors, rest, sigma, widen)
        )
        score = np.full(raw.shape, np.nan)
        score[:, days] = _score(units, mean, factors, rest, scale, dispersion, wider)
        return score

    z_raw, z_alone = alone(np.zeros_like(common), raw), alone(common, own)
    judged = [_judge(one, sigma, widen, expected, days) for one in nodes]
    return Residuals(raw, own, sigma, z, z_raw, z_alone, common, dispersion, judged)


def _factors(values: np.ndarray, code: np.ndarray, count: int, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(factor (N, T) of each node, what is taken off each series (S, T)); nodes of one size are done together."""
    factor, taken = np.zeros((count, values.shape[1])), np.zeros(values.shape)
    for nodes, rows in _of_one_size(code, count):
        together = values[rows]
        ordered = Ordered(together)
        factor[nodes] = ordered.agreed()
        taken[rows] = _taken(together, ordered, days)
    return factor, taken


def _taken(values: np.ndarray, ordered: Ordered, days: np.ndarray) -> np.ndarray:
    """What to take off each of the rows of nodes (rows, N, T) as common to all.

    The middle of the others, as far as it is usual for it to move and shrunk by the noise it has itself; more than that
    only when nearly all agree on it. Of a few, each is left out of what it is compared with: it would else take a part
    of its own residual for common, and look steadier than it is.
    """
    size = len(values)
    middle = ordered.median(3)
    moves = MAD * _trailing(np.abs(middle), days)
    noise = MAD * _trailing(Ordered(np.abs(values - middle)).median(3), days)
    others, surely = middle, ordered.agreed()
    if size <= FEW:
        left = [Ordered([*values[:row], *values[row + 1 :]]) for row in range(size)]
        others, surely = np.stack([one.median(2) for one in left]), np.stack([one.agreed() for one in left])
        size -= 1
    with np.errstate(divide="ignore", invalid="ignore"):
        trust = np.clip(1 - 1.57 * noise**2 / size / moves**2, 0, 1)
    most = np.nan_to_num(USUAL * moves)
    usual = np.nan_to_num(trust * np.clip(others, -most, most)) if size >= ENOUGH else 0.0
    return np.where(np.abs(surely) > most, surely, usual)


def _middle(window: Ordered) -> np.ndarray:
    return window.median(SHORTEST)


def _trailing(size: np.ndarray, days: np.ndarray, told: Callable[[Ordered], np.ndarray] = _middle) -> np.ndarray:
    """(N, T): what is ``told`` by the last 112 days, their median if nothing else, of ``days`` just before them, of
    others at most a week older."""
    length = size.shape[1]
    usual = np.full(size.shape, np.nan)

    def over(last: int, so_long: int) -> None:
        window = size[:, max(0, last - WINDOW) : last]
        usual[:, last : last + so_long] = told(Ordered(window.T))[:, None]

    at_once(lambda start: over(start, STEP), range(SHORTEST, length, STEP), size.size)
    at_once(lambda day: over(int(day), 1), [day for day in days if day > 0], size.size)
    return usual


def _level(
    series: pd.DataFrame, level: str, columns: tuple[str, ...]
) -> tuple[np.ndarray, pd.DataFrame, np.ndarray] | None:
    """Codes, names and sizes of a level's nodes; None when it says nothing beside the others."""
    if any((series[column] == "").all() for column in columns):
        return None
    if not columns:
        code, names = np.zeros(len(series), int), pd.DataFrame(index=range(1))
    else:
        grouped = series.groupby(list(columns), sort=True)
        code = grouped.ngroup().to_numpy()
        names = series[list(columns)].iloc[np.unique(code, return_index=True)[1]].reset_index(drop=True)
    children = np.bincount(code, minlength=len(names))
    if children.max(initial=0) < 3 or (columns and len(names) == 1):
        return None
    blank = {column: "" for column in ("product_category", "region", "store") if column not in columns}
    return code, names.assign(**blank), children


def _of_one_size(code: np.ndarray, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Nodes (N,) that have equally many series, at least three, and the rows of these (rows, N)."""
    order = np.argsort(code, kind="stable")
    begin = np.searchsorted(code[order], np.arange(count + 1))
    sizes = np.diff(begin)
    for size in np.unique(sizes[sizes >= 3]):
        nodes = np.flatnonzero(sizes == size)
        yield nodes, order[begin[nodes] + np.arange(size)[:, None]]


def _widen(expected: Expectation) -> np.ndarray:
    """Extra deviation of days under an event: the fewer examples, the wider; less of a forecast, which has learnt from
    years."""
    eventful = np.isfinite(expected.examples)
    unsure = np.where(expected.frozen, UNSURE_FROZEN, UNSURE)
    wider = np.zeros(eventful.shape)
    wider[eventful] = unsure[eventful] / np.sqrt(1 + expected.examples[eventful])
    return wider


def _scale(own: np.ndarray, expected: Expectation, widen: np.ndarray, days: np.ndarray) -> np.ndarray:
    """(S, T): how far the last 112 ordinary days' residuals went, with the floor of counts and what an event adds: the
    mean of 1.4826 x their median size and of their 97th of a hundred over 2.17, which are the same of a normal
    distribution; a series that often goes far is not judged as one that never does. A series still being learnt borrows
    the scale of the others, half as wide again."""
    spread = _trailing(np.abs(own), days, _went)
    usual = np.nan_to_num(median(spread.T, 1), nan=0.2)
    young = (expected.observed < LEARNING) | np.isnan(spread)
    spread = np.where(young, np.fmax(spread, 1.5 * usual[None, :]), spread)
    with np.errstate(invalid="ignore"):
        spread = spread ** (1 - ALIKE) * usual**ALIKE
    floor = 1 / np.maximum(expected.units, 1) + FLOOR**2
    return np.sqrt(np.maximum(spread**2, floor) + widen**2)


def _went(window: Ordered) -> np.ndarray:
    return (MAD * window.median(SHORTEST) + window.quantile(FAR, SHORTEST) / FAR_NORMAL) / 2


def _scattered(z: np.ndarray, expected: Expectation, region: np.ndarray) -> np.ndarray:
    """(S, T): how much further from what was expected the series of a region are on a day than on the 112 days before.

    A carnival scatters the shops of some towns of one region: what a tenth of them does is no anomaly of each. Of few
    series it says little and is believed little.
    """
    size = np.where(expected.units >= TELLS, np.abs(z), np.nan)
    wider = np.ones(z.shape)
    for one in np.unique(region):
        rows = np.flatnonzero(region == one)
        wider[rows] = _further(size[rows], *RESTLESS_REGION)
    return wider


def _further(size: np.ndarray, share: float, least: float, most: float, crowd: int) -> np.ndarray:
    """(T,): a quantile of the sizes (S, T) of a day over what it was on the 112 days before, within bounds; half of it
    where ``crowd`` series are known. On the eve of a holiday everybody scatters."""
    few = size[:: max(1, len(size) // ASKED)]
    far, count = quantile(few.T, share, 3), np.isfinite(size).sum(axis=0)
    before = np.concatenate([np.full(WINDOW, np.nan), far[:-1]])
    usual = median(np.lib.stride_tricks.sliding_window_view(before, WINDOW), SHORTEST)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.nan_to_num(far / usual, nan=1.0, posinf=1.0)
    return np.clip(ratio, least, most) ** (count / (count + crowd))


def _dispersion(scene: Scene, expected: Expectation, learnable: np.ndarray, days: np.ndarray) -> np.ndarray:
    """alpha (S,) of a count's variance m + alpha m^2, from the days before the first one judged; half of it the
    others'."""
    last = int(days.min()) if len(days) else scene.days
    window = slice(max(0, last - WINDOW), last)
    units, mean = scene.units[:, window], expected.units[:, window]
    known = np.isfinite(learnable[:, window]) & (mean < 2 * LOW_COUNT)
    square = np.where(known, np.minimum((np.nan_to_num(units) - np.nan_to_num(mean)) ** 2, 16 * (mean + mean**2)), 0.0)
    above = square.sum(axis=1) - np.where(known, mean, 0).sum(axis=1)
    below = np.where(known, mean**2, 0).sum(axis=1)
    own = np.clip(np.divide(above, below, out=np.zeros_like(above), where=below > 0), 0, 5)
    pooled = float(np.clip(above.sum() / below.sum(), 0, 5)) if below.sum() > 0 else 0.0
    return 0.5 * own + 0.5 * pooled


def _score(
    units: np.ndarray,
    mean: np.ndarray,
    common: np.ndarray,
    own: np.ndarray,
    sigma: np.ndarray,
    dispersion: np.ndarray,
    widen: np.ndarray,
) -> np.ndarray:
    """Deviations off: the log residual in its scale; low counts by the root that makes a negative binomial's spread
    even (Anscombe 1948)."""
    z = own / sigma
    low = (mean < LOW_COUNT) & np.isfinite(z)
    if not low.any():
        return z
    row = np.nonzero(low)[0]
    alpha = np.maximum(dispersion[row] + widen[low] ** 2, 1e-4)
    moved = np.maximum(mean[low] * np.exp(common[low]), 1e-3)

    def root(count: np.ndarray) -> np.ndarray:
        return 2 / np.sqrt(alpha) * np.arcsinh(np.sqrt(alpha * (count + 0.375)))

    z[low] = root(units[low]) - root(moved)
    return z


def _judge(nodes: Nodes, sigma: np.ndarray, widen: np.ndarray, expected: Expectation, days: np.ndarray) -> Nodes:
    """The factors in their own deviations: what they usually do, and at least what chance makes of so many children."""
    chance = np.full(nodes.factor.shape, np.inf)
    unsure = np.zeros(nodes.factor.shape)
    for some, rows in _of_one_size(nodes.code, len(nodes.names)):
        asked = rows[:: max(1, len(rows) // ASKED_NODE)]
        chance[some] = 1.25 * Ordered(sigma[asked]).median() / np.sqrt(len(rows))
        unsure[some] = widen[rows].mean(axis=0)  # what an event may do, it does to all of them
    ordinary = np.isinf(expected.examples).all(axis=0)
    size = np.where(ordinary[None, :], np.abs(nodes.factor), np.nan)
    spread = _trailing(size, days)
    scale = np.sqrt(np.fmax(np.fmax(MAD * spread, chance), 0.01) ** 2 + unsure**2)
    return replace(nodes, z=np.nan_to_num(nodes.factor / scale))
