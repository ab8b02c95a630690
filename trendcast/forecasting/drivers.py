"""What promotions, prices, weather, economy, competitors and mentions do to sales: effects of all series at once.

The model is that of a log-linear demand function: ln(units) = calendar + sum of effect x driver. Calendar (level,
trend, week, month, year; events as the structural model found them) is taken out of the sales and of every driver by
one weighted least squares per series, so that a driver is judged by what it did beside the calendar alone (Frisch and
Waugh 1933, Lovell 1963); days beyond belief are drawn in (Huber 1964).

Effects are estimated for the bottom series and pooled: series -> product category -> all, each deviation shrunk by how
much the deviations vary beyond their own noise (DerSimonian and Laird 1986). Standard errors come from sums over
blocks of four weeks (Liang and Zeger 1986): days next to each other, and series on one day, are no independent
witnesses. An aggregate's effect is that of its series weighted by what they sell, so that it says what they say
together. Effects with a sign nobody doubts (promotions do not lower sales, higher prices do not raise them) are held
at zero on the wrong side, and the contradiction is kept to be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from trendcast.features.drivers import Outside, usual_weather
from trendcast.forecasting.structural import fourier, month_phase, small_systems
from trendcast.forecasting.structural_member import rates, tame
from trendcast.panel import Hierarchy, Panel

PROMOTION, AFTER, PRICE, ECONOMY = "promotion", "after_promotion", "price", "economic_index"
COMPETITOR, MENTIONS, WEATHER = "competitor_promotion_intensity", "social_media_mentions", "weather:"

YEAR = 364
BLOCK = 28  # days whose errors may hang together
CHUNK = 256  # series in memory at once
LEAST_DAYS = 180  # of history
KNOT_DAYS = 91  # between two bends of the trend
RIDGE = 1e-3  # of the calendar's part, in days
OUTLIER = 3.5  # usual deviations
LEAST_PRICE_MOVES = 0.01  # of the logarithm: a price that hardly moves teaches nothing
LEAST_SERIES = 0.05  # share of the series whose price must have moved
LEADS = range(8)  # days by which mentions may run ahead of sales
FOLDS = 6  # parts of the history among which they are chosen
RECENT = 28
CLEAR = 2.0  # standard errors that make an effect sure
CONTRADICTION = 2.0
# How large effects are before the data have spoken: the standard deviation around zero.
PRIOR = {PROMOTION: 0.5, AFTER: 0.3, PRICE: 2.0, ECONOMY: 3.0, MENTIONS: 0.5, WEATHER: 0.3}
COMPETITOR_PRIOR = 0.1  # per standard deviation of the intensity
SIGNS = {PROMOTION: 1, AFTER: -1, PRICE: -1, COMPETITOR: -1}
AFTER_DAYS, AFTER_DECAY = 7, 3.0  # days on which what was bought ahead is missing, and how fast that fades
# Categories differ by at least so much of the common effect, the series of one category by so much: a spread that
# cannot be measured is not zero.
LEAST_SPREAD = {"category": 0.25, "series": 0.1}


@dataclass(frozen=True, eq=False)
class Drivers:
    """What is known of K drivers for all S nodes; arrays (S, K) unless said otherwise.

    names: of the drivers; "after_promotion" is the days after one (see ``aftermath``), "weather:rain" one kind of it.
    effect, error: of ln(units) and its standard error, per unit of the driver: promotion from none to all; price and
    mentions per ln of them, the economic index too where ``logarithmic`` (K,), else per point; weather per share of
    days. low, high, base: range ever seen and usual value, in the driver's own unit; the price's are shares around its
    usual course (base 0). gain: share of the mean absolute error on the last year's days that the driver took away,
    with effects learnt before it (from ``judged_from`` on). sure: clear of zero here, and with a gain over all series
    together. against: the data contradict the sign.
    cut (S,): ln of what the price does with a promotion. lead: days by which mentions run ahead.
    promotion (S, AFTER_DAYS + H): share of the last days known and, planned or expected, of those ahead.
    weather (S, H, C): its usual shares ahead, in the order of the names. clear: the kind it is compared with.
    missing: driver -> why nothing is known of it.
    """

    names: tuple[str, ...]
    logarithmic: np.ndarray
    effect: np.ndarray
    error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    base: np.ndarray
    gain: np.ndarray
    sure: np.ndarray
    against: np.ndarray
    cut: np.ndarray
    lead: int
    promotion: np.ndarray
    weather: np.ndarray
    clear: str
    missing: dict[str, str]
    judged_from: np.datetime64 | None


@dataclass(frozen=True, eq=False)
class _Columns:
    """The drivers of N series over T days: ``own`` (N, T) each, ``shared`` (T,) each, ``place`` (N, R) how much of each
    region a series has and ``local`` (R, T) per condition."""

    own: dict[str, np.ndarray]
    shared: dict[str, np.ndarray]
    place: np.ndarray
    local: dict[str, np.ndarray]

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.own, *self.local, *self.shared)

    def rows(self, rows: np.ndarray, days: slice) -> np.ndarray:
        """(rows, days, K)."""
        count = len(rows)
        parts = [values[rows, days] for values in self.own.values()]
        parts += [self.place[rows] @ values[:, days] for values in self.local.values()]
        parts += [np.broadcast_to(values[days], (count, len(values[days]))) for values in self.shared.values()]
        return np.stack(parts, axis=2).astype(np.float64)


def learn(
    panel: Panel,
    hierarchy: Hierarchy,
    bottom: Panel,
    fitted: Any,
    outside: Outside,
    volume: np.ndarray,
    horizon: int,
) -> Drivers | None:
    """The drivers of all nodes, None where the history is too short for any.

    panel: the nodes as known at the origin, promotion planned or expected on every day; bottom: their bottom series.
    fitted: the structural model's fit of the nodes. volume (B,): what each bottom series is expected to sell.
    """
    history, first = panel.history, hierarchy.aggregates
    if history < LEAST_DAYS:
        return None
    rate, weight = rates(panel)
    sold = np.log1p(tame(rate)) - _holidays(fitted, history)
    weight = np.where(np.isfinite(sold), weight, 0.0)
    sold = np.nan_to_num(sold)
    # log1p flattens small numbers: what a driver does to the logarithm of units shows in it only in part.
    share = np.nan_to_num(rate) / (1 + np.nan_to_num(rate))
    seen = np.clip((share * weight).sum(1) / np.maximum(weight.sum(1), 1e-9), 0.2, 1.0)
    cut_at = history - min(YEAR, history // 3)

    missing: dict[str, str] = {}
    nodes, cut, moves = _columns(panel, hierarchy, bottom, outside, weight, volume, missing)
    logarithmic = {name: bool((outside.national[name] > 0).all()) for name in nodes.shared}
    group = pd.factorize(bottom.series["product_category"])[0]
    lead = _lead_of(nodes, sold, weight, group, panel.dates[:history], first)
    lead_then = _lead_of(nodes, sold, weight, group, panel.dates[:cut_at], first)
    nodes, nodes_then = _led(nodes, lead), _led(nodes, lead_then)
    if not nodes.names:
        return _nothing(panel, horizon, missing)
    rows, scale = np.arange(first, panel.n_series), seen[first:]

    def estimate(columns: _Columns, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Effects, errors and contradictions of all nodes as the days before ``stop`` teach them."""
        prior = np.array([_prior(name, columns.shared.get(name)) for name in columns.names])
        signs = np.array([SIGNS.get(name, 0) for name in columns.names])
        normal = _normal(sold[rows], weight[rows], columns, rows, panel.dates, 0, stop)
        pooled = _pooled(normal, scale, group, prior)
        return _aggregated(pooled.effect, pooled, hierarchy, group, volume, signs)

    def judge(columns: _Columns) -> tuple[np.ndarray, np.ndarray]:
        """What the effects learnt before the last year took off its errors: of each node, and of all series."""
        then = estimate(columns, cut_at)[0] * seen[:, None]
        return _gain(sold, weight, columns, panel.dates, cut_at, history, then, first)

    gain, overall = judge(nodes_then)
    if AFTER in nodes.names and overall[nodes.names.index(AFTER)] <= 0:
        # Nobody moves this one by hand: where it does not prove itself, promotions are better told without it.
        nodes, nodes_then = _without(nodes, AFTER), _without(nodes_then, AFTER)
        gain, overall = judge(nodes_then)
    names = nodes.names
    effect, error, against = estimate(nodes, history)
    low, high, base = _ranges(nodes, outside, hierarchy, volume, moves, panel.n_series, names)
    places = _places(panel, hierarchy, bottom, outside, volume)
    usual = usual_weather(outside.weather, panel.first_day, horizon)
    sure = (np.abs(effect) > CLEAR * error) & (overall > 0)[None, :]
    return Drivers(
        names=names,
        logarithmic=np.array([name in (PRICE, MENTIONS) or logarithmic.get(name, False) for name in names]),
        effect=effect,
        error=error,
        low=low,
        high=high,
        base=base,
        gain=gain,
        sure=sure,
        against=against,
        cut=cut,
        lead=lead,
        promotion=_ahead(panel, horizon),
        weather=np.einsum("sr,rhc->shc", places, usual),
        clear=outside.clear,
        missing=missing,
        judged_from=panel.first_day + cut_at,
    )


def _nothing(panel: Panel, horizon: int, missing: dict[str, str]) -> Drivers:
    """No driver is known, only why."""
    none, never = np.zeros((panel.n_series, 0)), np.zeros((panel.n_series, 0), bool)
    return Drivers(
        names=(),
        logarithmic=np.zeros(0, bool),
        effect=none,
        error=none,
        low=none,
        high=none,
        base=none,
        gain=none,
        sure=never,
        against=never,
        cut=np.zeros(panel.n_series),
        lead=0,
        promotion=_ahead(panel, horizon),
        weather=np.zeros((panel.n_series, horizon, 0)),
        clear="",
        missing=missing,
        judged_from=None,
    )


# --- what goes in --------------------------------------------------------------------------------------------------


def _holidays(fitted: Any, history: int) -> np.ndarray:
    """What events did to the logarithm of sales (S, history), as the structural model found it."""
    effect = np.zeros((fitted.n_series, history))
    theta = fitted.theta[:, slice(*fitted.columns["holidays"])]
    for g in np.unique(fitted.group):
        who = fitted.group == g
        effect[who] = theta[who] @ fitted.shared[g, :history].T
    return np.asarray(effect * fitted.scale[:, None])


def _columns(
    panel: Panel,
    hierarchy: Hierarchy,
    bottom: Panel,
    outside: Outside,
    weight: np.ndarray,
    volume: np.ndarray,
    missing: dict[str, str],
) -> tuple[_Columns, np.ndarray, np.ndarray]:
    """The drivers of all nodes over the history, ln of the price cut of a promotion (S,), and whether the price of each
    bottom series moved (B,)."""
    history, first = panel.history, hierarchy.aggregates
    promotion = np.nan_to_num(panel.promotion[:, :history])
    own: dict[str, np.ndarray] = {}
    if (promotion[first:] > 0).any():
        own[PROMOTION] = promotion
        own[AFTER] = aftermath(promotion)
    else:
        missing[PROMOTION] = "no promotion was recorded"
    price = pd.DataFrame(panel.price[:, :history]).ffill(axis=1).bfill(axis=1).to_numpy()
    moved = np.zeros(bottom.n_series, bool)
    cut = np.zeros(panel.n_series)
    if np.isfinite(price[first:]).any():
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(price)
        logs = np.where(np.isfinite(logs), logs, 0.0)
        total = np.maximum(weight.sum(1), 1e-9)
        share = (promotion * weight).sum(1) / total
        away = (promotion - share[:, None]) * weight
        spread = (away * promotion).sum(1)
        cut = np.where(spread > 1e-6, (away * logs).sum(1) / np.maximum(spread, 1e-6), 0.0)
        net = logs - cut[:, None] * promotion
        slow = pd.DataFrame(net[first:].T).rolling(KNOT_DAYS, center=True, min_periods=1).median().to_numpy().T
        moved = (net[first:] - slow).std(axis=1) > LEAST_PRICE_MOVES / 2
        if moved.mean() >= LEAST_SERIES:
            net -= np.mean(net, axis=1, keepdims=True)
            net[first:][~moved] = 0.0
            own[PRICE] = net
        else:
            missing[PRICE] = (
                "prices hardly moved, except with promotions" if PROMOTION in own else "prices hardly moved"
            )
        # An aggregate's cut is what its series' cuts are, not how its mean price happened to move.
        cut = _weighted(cut[first:, None], hierarchy, volume)[:, 0]
    else:
        missing[PRICE] = "no prices are loaded"
    shared = {}
    for name in (ECONOMY, COMPETITOR, MENTIONS):
        values = outside.national.get(name)
        if values is None:
            missing[name] = "nothing is loaded about it"
            continue
        if name == MENTIONS:
            values = np.log1p(np.maximum(values, 0))
        elif name == ECONOMY and (values > 0).all():
            values = np.log(values)
        shared[name] = values - values.mean()
    if not outside.conditions:
        missing["weather"] = "no weather was recorded"
    local = {
        WEATHER + name: outside.weather[:, :, c] - outside.weather[:, :, c].mean()
        for c, name in enumerate(outside.conditions)
    }
    places = _places(panel, hierarchy, bottom, outside, volume)
    return _Columns(own, shared, places, local), cut, moved


def aftermath(promotion: np.ndarray) -> np.ndarray:
    """How much a day lies after a promotion (..., T): 1 on the day after its last, fading, 0 while it runs; customers
    who bought ahead are missing then."""
    days = promotion.shape[-1]
    left = np.zeros(promotion.shape)
    for k in range(1, min(AFTER_DAYS, days - 1) + 1):
        faded = promotion[..., : days - k] * np.exp(-(k - 1) / AFTER_DECAY)
        left[..., k:] = np.maximum(left[..., k:], faded)
    return np.maximum(left - promotion, 0.0)


def _places(panel: Panel, hierarchy: Hierarchy, bottom: Panel, outside: Outside, volume: np.ndarray) -> np.ndarray:
    """How much of each node lies in each region (S, R)."""
    at = pd.Index(outside.regions).get_indexer(bottom.series["region"].astype(str))
    one = np.zeros((bottom.n_series, len(outside.regions)))
    one[np.flatnonzero(at >= 0), at[at >= 0]] = 1.0
    return _weighted(one, hierarchy, volume)


def _weighted(values: np.ndarray, hierarchy: Hierarchy, volume: np.ndarray) -> np.ndarray:
    """Means of the bottom series' values (B, ...) over each node (S, ...), by volume."""
    mass = np.maximum(volume, 1e-9)
    return np.asarray(hierarchy.summing @ (values * mass[:, None])) / (hierarchy.summing @ mass)[:, None]


def _prior(name: str, values: np.ndarray | None) -> float:
    if name.startswith(WEATHER):
        return PRIOR[WEATHER]
    if name in PRIOR and not (name == ECONOMY and values is not None and np.ptp(values) > 3):
        return PRIOR[name]
    assert values is not None
    return COMPETITOR_PRIOR / max(float(values.std()), 1e-9)


def _ahead(panel: Panel, horizon: int) -> np.ndarray:
    start = panel.history - AFTER_DAYS
    return np.nan_to_num(panel.promotion[:, start : panel.history + horizon].astype(np.float64))


def calendar(dates: np.ndarray, *, short: bool = False) -> np.ndarray:
    """The calendar's columns (T, P): level, a trend with bends, week, month and year; ``short`` for a year or less, in
    which waves of the year would explain everything."""
    days = len(dates)
    time = np.arange(days) / max(days, 1)
    knots = np.arange(KNOT_DAYS, days - KNOT_DAYS // 2, KNOT_DAYS) / max(days, 1)
    month = 2 * np.pi * np.outer(month_phase(dates), np.arange(1, 4))
    return np.concatenate(
        [
            np.ones((days, 1)),
            time[:, None],
            np.maximum(time[:, None] - knots[None, :], 0.0),
            fourier(dates, 7, 3),
            np.sin(month),
            np.cos(month),
            fourier(dates, 365.25, 2 if short else 8),
        ],
        axis=1,
    )


def _beside(
    sold: np.ndarray, weight: np.ndarray, drivers: np.ndarray, basis: np.ndarray, pairs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sales (N, T) and drivers (N, T, K) without their parts of the calendar ``basis`` (T, P), weighted."""
    count, width = len(sold), basis.shape[1]
    both = np.concatenate([drivers, sold[:, :, None]], axis=2)
    half = weight @ pairs
    gram = np.empty((count, width, width))
    upper = np.triu_indices(width)
    gram[:, upper[0], upper[1]] = half
    gram[:, upper[1], upper[0]] = half
    gram[:, np.arange(width), np.arange(width)] += RIDGE
    inner = basis.T @ (both * weight[:, :, None])
    both = both - basis @ np.linalg.solve(gram, inner)
    return both[:, :, -1], both[:, :, :-1]


def _pairs(basis: np.ndarray) -> np.ndarray:
    """All products of two columns (T, P (P + 1) / 2)."""
    upper = np.triu_indices(basis.shape[1])
    return basis[:, upper[0]] * basis[:, upper[1]]


def _in_pairs(work: Callable[[int], None], starts: Iterable[int]) -> None:
    """Chunks of series on two threads; threads of BLAS inside each would only get in their way."""
    with small_systems(), ThreadPoolExecutor(2) as pool:
        list(pool.map(work, starts))


@dataclass(frozen=True, eq=False)
class _Normal:
    """Normal equations of each series by block of days: ``gram`` (B, blocks, K, K), ``moment`` (B, blocks, K), and the
    variance of what is left (B,)."""

    gram: np.ndarray
    moment: np.ndarray
    variance: np.ndarray


def _normal(
    sold: np.ndarray, weight: np.ndarray, columns: _Columns, rows: np.ndarray, dates: np.ndarray, start: int, stop: int
) -> _Normal:
    window = slice(start, stop)
    days = stop - start
    basis = calendar(dates[window])
    pairs = _pairs(basis)
    blocks = -(-days // BLOCK)
    width = len(columns.names)
    gram, moment = np.empty((len(rows), blocks, width, width)), np.empty((len(rows), blocks, width))
    variance = np.empty(len(rows))
    pad = blocks * BLOCK - days

    def work(i: int) -> None:
        part = slice(i, min(i + CHUNK, len(rows)))
        mass = weight[part, window]
        y, x = _beside(sold[part, window], mass, columns.rows(rows[part], window), basis, pairs)
        # A first look, held back by much, tells what is beyond belief.
        inner = np.einsum("ntk,nt,ntl->nkl", x, mass, x, optimize=True)
        inner[:, np.arange(width), np.arange(width)] += 1.0
        first = np.linalg.solve(inner, np.einsum("ntk,nt->nk", x, mass * y)[..., None])
        rest = y - (x @ first)[..., 0]
        limit = OUTLIER * 1.4826 * np.maximum(_usual(rest, mass), 1e-6)[:, None]
        tamed = np.clip(rest, -limit, limit)
        total = np.maximum(mass.sum(1), 1e-9)
        freedom = np.maximum(1 - (basis.shape[1] + width) / np.maximum((mass > 0).sum(1), 1), 0.2)
        variance[part] = np.maximum((tamed**2 * mass).sum(1) / total / freedom, 1e-6)
        y = y - rest + tamed
        x = np.pad(x, ((0, 0), (pad, 0), (0, 0))).reshape(len(x), blocks, BLOCK, width)
        weighted = x * np.pad(mass, ((0, 0), (pad, 0))).reshape(len(x), blocks, BLOCK, 1)
        across = weighted.swapaxes(2, 3)
        gram[part] = across @ x
        moment[part] = (across @ np.pad(y, ((0, 0), (pad, 0))).reshape(len(x), blocks, BLOCK, 1))[..., 0]

    _in_pairs(work, range(0, len(rows), CHUNK))
    return _Normal(gram, moment, variance)


def _usual(rest: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """The median of the absolute values of each row where it counts."""
    ordered = np.sort(np.where(mass > 0, np.abs(rest), np.inf), axis=1)
    count = (mass > 0).sum(1)
    return np.where(count > 0, ordered[np.arange(len(rest)), np.maximum((count - 1) // 2, 0)], 0.0)


# --- from series to all of them ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Pooled:
    """Effects of the bottom series (B, K) and the variances of what they are made of: the whole's (K,), the category's
    deviation (C, K) and the series' own (B, K)."""

    effect: np.ndarray
    top: np.ndarray
    group: np.ndarray
    own: np.ndarray


def _pooled(normal: _Normal, scale: np.ndarray, group: np.ndarray, prior: np.ndarray) -> _Pooled:
    """Effects of ln(units): whole -> category -> series. ``scale`` (B,): how much of an effect shows in log1p."""
    # In terms of effects on ln(units), a series' drivers are scaled by what shows.
    precision = 1 / normal.variance
    gram, moment = normal.gram, normal.moment
    gram *= (precision * scale**2)[:, None, None, None]
    moment *= (precision * scale)[:, None, None]
    width = gram.shape[-1]
    whole = gram.sum(axis=(0, 1))
    penalty = np.diag(1 / prior**2)
    inverse = np.linalg.inv(whole + penalty)
    top = inverse @ moment.sum(axis=(0, 1))
    scores = (moment - gram @ top).sum(axis=0)  # (blocks, K): what series have in common on a day counts once
    blocks = len(scores)
    meat = scores.T @ scores * blocks / max(blocks - 1, 1)
    variance = np.diag(inverse @ meat @ inverse)
    variance = np.maximum(variance, np.diag(inverse @ whole @ inverse))  # what independent errors would leave
    unknown = np.diag(inverse) / prior**2  # share of the prior in what is believed
    variance = variance + (unknown * prior) ** 2

    groups = int(group.max()) + 1 if len(group) else 0
    by_group = np.zeros((groups, *gram.shape[1:]))
    np.add.at(by_group, group, gram)
    score = np.zeros((groups, *moment.shape[1:]))
    np.add.at(score, group, moment - gram @ top)
    if groups > 1:
        shift, shift_variance = _deviation(by_group, score, prior, LEAST_SPREAD["category"] * np.abs(top))
    else:
        shift, shift_variance = np.zeros((groups, width)), np.zeros((groups, width))
    centre = top + shift
    of_group = centre[group]
    members = np.bincount(group, minlength=groups)
    left = moment - np.einsum("bnkl,bl->bnk", gram, of_group)
    own, own_variance = _deviation(gram, left, prior, LEAST_SPREAD["series"] * np.abs(top))
    alone = members[group] == 1  # the only series of its category is the category
    own[alone], own_variance[alone] = 0.0, 0.0
    return _Pooled(of_group + own, variance, shift_variance, own_variance)


def _deviation(
    gram: np.ndarray, score: np.ndarray, prior: np.ndarray, least: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Each unit's deviation (U, K) from what it was centred on, shrunk, and the variance it leaves.

    gram (U, blocks, K, K), score (U, blocks, K): the slope of the likelihood at the centre. least (K,): how much units
    differ at least (standard deviation).
    """
    mass = np.einsum("unkk->uk", gram)
    some = mass > 1e-9 * np.maximum(mass.max(axis=0, keepdims=True), 1e-300)
    safe = np.where(some, mass, 1.0)
    raw = np.where(some, score.sum(axis=1) / safe, 0.0)
    # Around the unit's own estimate, the scores of its blocks are its noise.
    around = score - np.einsum("unkk->unk", gram) * raw[:, None, :]
    blocks = score.shape[1]
    noise = np.where(some, (around**2).sum(axis=1) / safe**2 * blocks / max(blocks - 1, 1), np.inf)
    noise = np.maximum(noise, np.where(some, 1 / safe, np.inf))
    weight = np.where(some, 1 / noise, 0.0)
    count = some.sum(axis=0)
    centre = (weight * raw).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-300)
    spread = (weight * (raw - centre) ** 2).sum(axis=0)
    total = weight.sum(axis=0)
    scale = np.maximum(total - (weight**2).sum(axis=0) / np.maximum(total, 1e-300), 1e-300)
    between = np.clip((spread - (count - 1)) / scale, least**2, np.maximum(prior, least) ** 2)
    shrink = np.where(some, between / (between + np.where(some, noise, 1.0)), 0.0)
    return shrink * raw, np.where(some, shrink * np.where(some, noise, 0.0), between)


def _aggregated(
    effect: np.ndarray,
    pooled: _Pooled,
    hierarchy: Hierarchy,
    group: np.ndarray,
    volume: np.ndarray,
    signs: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Effects, standard errors and contradictions of all nodes (S, K) from those of the bottom series (B, K)."""
    mass = np.maximum(volume, 1e-9)
    summing = hierarchy.summing
    total = summing @ mass
    groups = pooled.group.shape[0]
    member = np.zeros((len(mass), groups))
    member[np.arange(len(mass)), group] = mass
    in_group = np.asarray(summing @ member) / total[:, None]
    own = np.asarray(summing @ (pooled.own * (mass**2)[:, None])) / (total**2)[:, None]
    error = np.sqrt(pooled.top[None, :] + in_group**2 @ pooled.group + own)
    believed = np.asarray(summing @ (effect * mass[:, None])) / total[:, None]
    against = (signs * believed < 0) & (np.abs(believed) > CONTRADICTION * error)
    allowed = np.where(signs * effect < 0, 0.0, effect)
    return np.asarray(summing @ (allowed * mass[:, None])) / total[:, None], error, against


# --- out of sample -------------------------------------------------------------------------------------------------


def _gain(
    sold: np.ndarray,
    weight: np.ndarray,
    columns: _Columns,
    dates: np.ndarray,
    start: int,
    stop: int,
    effect: np.ndarray,
    first: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Share (S, K) of the mean absolute error of days start..stop-1 that each driver takes away beside the others, with
    ``effect`` (S, K) learnt before them; and of all series from row ``first`` on together, each in its own noise (K,).
    """
    window = slice(start, stop)
    basis = calendar(dates[window], short=True)
    pairs = _pairs(basis)
    result, ratio = np.zeros(effect.shape), np.ones(effect.shape)

    def work(i: int) -> None:
        part = np.arange(i, min(i + CHUNK, len(sold)))
        mass = weight[part, window]
        y, x = _beside(sold[part, window], mass, columns.rows(part, window), basis, pairs)
        moves = x * effect[part, None, :]
        rest = y - moves.sum(axis=2)
        total = (np.abs(rest) * mass).sum(1)
        for k in range(effect.shape[1]):
            without = (np.abs(rest + moves[:, :, k]) * mass).sum(1)
            result[part, k] = np.where(without > 0, 1 - total / np.maximum(without, 1e-12), 0.0)
            ratio[part, k] = np.where(total > 0, without / np.maximum(total, 1e-12), 1.0)

    _in_pairs(work, range(0, len(sold), CHUNK))
    return result, 1 - 1 / ratio[first:].mean(axis=0)


def _without(columns: _Columns, name: str) -> _Columns:
    return replace(columns, own={key: values for key, values in columns.own.items() if key != name})


def _lead_of(
    columns: _Columns, sold: np.ndarray, weight: np.ndarray, group: np.ndarray, dates: np.ndarray, first: int
) -> int:
    """The lead of the mentions as the days of ``dates`` show it; 0 without mentions."""
    values = columns.shared.get(MENTIONS)
    if values is None:
        return 0
    days = slice(0, len(dates))
    return _lead(sold[first:, days], weight[first:, days], group, values[days], dates)


def _led(columns: _Columns, lead: int) -> _Columns:
    """The columns with the mentions of ``lead`` days before."""
    values = columns.shared.get(MENTIONS)
    return columns if values is None else replace(columns, shared={**columns.shared, MENTIONS: _shifted(values, lead)})


def _lead(sold: np.ndarray, weight: np.ndarray, group: np.ndarray, values: np.ndarray, dates: np.ndarray) -> int:
    """How many days mentions run ahead of sales: the lead whose effects on the categories leave the least error, each
    part of the history judged by what the other parts teach."""
    counts = (weight > 0).astype(np.float64)
    member = np.zeros((int(group.max()) + 1, len(sold)))
    member[group, np.arange(len(sold))] = 1.0
    mean = (sold * counts).sum(1) / np.maximum(counts.sum(1), 1)
    number = member @ counts
    # The common movement of a category, around each series' own level; a day nobody sold is an average one.
    common = np.divide(member @ ((sold - mean[:, None]) * counts), number, out=np.zeros_like(number), where=number > 0)
    moves = np.stack([_shifted(values, lead) for lead in LEADS])
    with small_systems():
        basis, _ = np.linalg.qr(calendar(dates))
    y = common - (common @ basis) @ basis.T
    limit = OUTLIER * 1.4826 * np.maximum(np.median(np.abs(y), axis=1, keepdims=True), 1e-6)
    y, x = np.clip(y, -limit, limit), moves - (moves @ basis) @ basis.T
    parts = np.array_split(np.arange(len(dates)), FOLDS)
    together = np.stack([y[:, days] @ x[:, days].T for days in parts])  # (folds, categories, leads)
    power = np.stack([(x[:, days] ** 2).sum(1) for days in parts])
    left = np.zeros((len(y), len(moves)))
    for fold, days in enumerate(parts):
        effects = (together.sum(0) - together[fold]) / np.maximum(power.sum(0) - power[fold], 1e-9)
        for lead, move in enumerate(x[:, days]):
            left[:, lead] += np.abs(y[:, days] - effects[:, lead, None] * move).sum(1)
    return LEADS[int(np.argmin((left / np.maximum(np.abs(y).sum(1), 1e-9)[:, None]).mean(0)))]


def _shifted(values: np.ndarray, lead: int) -> np.ndarray:
    """The values of ``lead`` days before; the first days have the first value."""
    return values if lead == 0 else np.concatenate([np.full(lead, values[0]), values[:-lead]])


def _ranges(
    columns: _Columns,
    outside: Outside,
    hierarchy: Hierarchy,
    volume: np.ndarray,
    moved: np.ndarray,
    count: int,
    names: Sequence[str],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest and highest value ever seen and the usual one (S, K), in the drivers' own units."""
    low, high, base = (np.zeros((count, len(names))) for _ in range(3))
    for k, name in enumerate(names):
        if name == PROMOTION:
            high[:, k] = 1.0
            base[:, k] = columns.own[name][:, -RECENT:].mean(axis=1)
        elif name == AFTER:
            high[:, k] = 1.0
        elif name == PRICE:
            net = columns.own[name][hierarchy.aggregates :]
            usual = pd.DataFrame(net.T).rolling(KNOT_DAYS, center=True, min_periods=1).median().to_numpy().T
            away = np.expm1(net - usual)
            ends = np.stack([away.min(axis=1), away.max(axis=1)], axis=1)
            ends = _weighted(ends, hierarchy, np.where(moved, volume, 0.0))
            low[:, k], high[:, k] = ends[:, 0], ends[:, 1]
        elif name.startswith(WEATHER):
            share = outside.weather[:, :, outside.conditions.index(name.removeprefix(WEATHER))]
            month = pd.DataFrame(share.T).rolling(RECENT, min_periods=min(RECENT, len(share.T))).mean().to_numpy().T
            low[:, k] = columns.place @ np.nanmin(month, axis=1)
            high[:, k] = columns.place @ np.nanmax(month, axis=1)
            base[:, k] = columns.place @ share.mean(axis=1)
        else:
            values = outside.national[name]
            low[:, k], high[:, k], base[:, k] = values.min(), values.max(), values[-RECENT:].mean()
    return low, high, base
