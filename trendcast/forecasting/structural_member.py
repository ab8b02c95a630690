"""The structural model as a member: what retail asks of it beyond Prophet's recipe.

Differences to stock Prophet, each measured on real retailers (docs/benchmarks.md):
- it works on log1p of units per open day, weighted by the share of capacity open, so that effects are factors and
  closings are no demand; stock-out days are left out, the forecast is brought from logs back to means;
- events also touch the three days before and the two after them, where that shows a clear effect in a region; months
  have a wave of their own (paydays);
- the effects of a node are centred on those of its parents in the hierarchy (partial pooling): what three Christmases
  cannot tell about one store, they tell about a region;
- the slope of the trend fades within days beyond the last day known, while nearly all of what the last four weeks lie
  above or below the model is carried on and fades slowly; older days count less.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from trendcast.features.known_ahead import expected_promotion
from trendcast.forecasting.members import MemberForecast, finish
from trendcast.forecasting.structural import StructuralFit, StructuralSettings, fit
from trendcast.panel import KEYS, Panel

NAME = "structural"

TOP = StructuralSettings(
    mode="log",
    yearly_order=14,
    monthly_order=5,
    changepoint_range=0.95,
    changepoint_prior=0.1,
    yearly_prior=0.3,
    weekly_prior=1.0,
    monthly_prior=0.1,
    holiday_prior=0.2,
    regressor_prior=1.0,
    yearly_min_days=300,
    min_observations=14,
    damping=0.8,
    standardize=False,  # a coefficient must mean the same in a node and in its parents
    tolerance=1e-4,
)
# How far a node's effects stray from its parents'.
POOLED = {
    "yearly_prior": 0.007,
    "weekly_prior": 0.1,
    "monthly_prior": 0.01,
    "holiday_prior": 0.05,
    "regressor_prior": 0.1,
}
MEANINGFUL_OPEN = 0.05  # a day with less of its capacity open says little about a day with all of it
WINDOW = (-3, -2, -1, 0, 1, 2)  # days around an event
CLEAR_EFFECT = 2.0  # standard errors an event's day must show in the whole or a region
MOST_COLUMNS = 48  # of events
OUTLIER = 6.0  # usual deviations
SMEAR_DAYS = 364
SMEAR_LIMITS = (0.8, 1.5)
LEVEL_DAYS, LEVEL_SHARE, LEVEL_DECAY = 28, 0.9, 0.995
HALF_LIFE_DAYS = 540.0  # of a day's weight: habits change
# A level's parents: of each chain the first level present.
PARENTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "total": (),
    "region": (("total",),),
    "category": (("total",),),
    "store": (("region", "total"),),
    "category_region": (("category", "total"), ("region", "total")),
    "category_store": (("category_region", "category", "total"), ("store", "region", "total")),
}


def forecast(panel: Panel, horizon: int) -> MemberForecast:
    """Means of the next ``horizon`` days for all nodes of the panel.

    extras: ``fit`` (StructuralFit of all rows) and ``components(start, stop, rows)``, its parts in units sold, names
    trend, yearly (with the turn of the month), weekly, holidays, promotions; they sum to the member's forecast.
    """
    planned = expected_promotion(panel)
    fitted = fit_nodes(planned)
    history = panel.history
    mean = fitted.predict(history, history + horizon) * panel.open[:, history : history + horizon]
    extras = {"fit": fitted, "components": _components(fitted, panel.open)}
    return MemberForecast(finish(mean, panel), extras)


def rates(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Units per fully open day (S, history), NaN where they say nothing about demand, and their weights: the share
    open, less for days long ago."""
    history = panel.history
    share = panel.open[:, :history].astype(np.float64)
    units = panel.units[:, :history]
    recency = 0.5 ** (np.arange(history - 1, -1, -1) / HALF_LIFE_DAYS)
    usable = (share > MEANINGFUL_OPEN) & ~panel.silent[:, :history] & np.isfinite(units)
    return np.where(usable, units / np.where(usable, share, 1.0), np.nan), np.where(usable, share, 0.0) * recency


def event_columns(panel: Panel) -> tuple[np.ndarray, list[str]]:
    """Events, the days before and the days after them as columns (regions, days, columns), and their names.

    Only columns that were seen in the history: an event without a past has no effect to forecast with.
    """
    indicator = panel.events.indicator.astype(np.float64)
    columns, names = [], []
    for offset in WINDOW:
        shifted = np.zeros_like(indicator)
        if offset == 0:
            shifted = indicator
        elif offset > 0:
            shifted[:, :, offset:] = indicator[:, :, :-offset]
        else:
            shifted[:, :, :offset] = indicator[:, :, -offset:]
        # A season of many days has one day before it, not a shifted copy of itself.
        columns.append(shifted if offset == 0 else np.maximum(shifted - indicator, 0.0))
        names += [name if offset == 0 else f"{name} {offset:+d}" for name in panel.events.names]
    every = np.concatenate(columns, axis=1)
    seen = np.flatnonzero((every[:, :, : panel.history] > 0).any(axis=(0, 2)))
    kept = every[:, seen].transpose(0, 2, 1)
    return kept, [names[i] for i in seen]


def fit_nodes(panel: Panel, settings: StructuralSettings = TOP) -> StructuralFit:
    """The model of all rows of a panel whose promotions are known or expected on every day, parents before children."""
    rate, weight = rates(panel)
    rate = tame(rate)
    columns, names = event_columns(panel)
    place = panel.events.for_regions(panel.series["region"])
    promoted = bool((panel.promotion[:, : panel.history] > 0).any())
    own = panel.promotion[:, :, None] if promoted else panel.promotion[:, :, None][:, :, :0]
    clear = _clear_columns(panel, rate, weight, columns, own, place, settings)
    columns, names = columns[:, :, clear], [names[i] for i in clear]
    pooled = settings.but(**POOLED)
    theta: np.ndarray | None = None
    parts: list[tuple[np.ndarray, StructuralFit]] = []
    for rows, parents in families(panel.series):
        center = None
        if parents is not None and theta is not None:
            center = theta[parents].mean(axis=1)
            center[:, : 2 + settings.changepoints] = 0.0  # trends are not shared
        part = fit(
            rate[rows],
            panel.dates,
            group=place[rows],
            group_regressors=columns,
            group_names=names,
            own_regressors=own[rows],
            own_names=["promotions"] if promoted else [],
            weights=weight[rows],
            prior_mean=center,
            settings=settings if center is None else pooled,
        )
        _correct(part, rate[rows], weight[rows])
        if theta is None:
            theta = np.zeros((panel.n_series, part.width))
        theta[rows] = part.theta
        parts.append((rows, part))
    return StructuralFit.join(parts)


def _clear_columns(
    panel: Panel,
    rate: np.ndarray,
    weight: np.ndarray,
    columns: np.ndarray,
    own: np.ndarray,
    place: np.ndarray,
    settings: StructuralSettings,
) -> np.ndarray:
    """Which event columns matter: those with a clear effect in the whole or in a region, strongest first in doubt.

    Dozens of days around dozens of events would only be noise in thousands of small series, and most of the work.
    """
    rows = np.flatnonzero(panel.series["level"].isin(["total", "region"]).to_numpy())
    if not columns.shape[2] or not len(rows):
        return np.arange(columns.shape[2])
    part = fit(
        rate[rows],
        panel.dates,
        group=place[rows],
        group_regressors=columns,
        own_regressors=own[rows],
        weights=weight[rows],
        settings=settings,
    )
    effect = part.theta[:, slice(*part.columns["holidays"])]
    mass = np.stack([weight[r] @ columns[place[r], : panel.history] ** 2 for r in rows])
    clearness = (np.abs(effect) * np.sqrt(mass) / np.maximum(part.sigma, 1e-9)[:, None]).max(axis=0)
    strongest = np.argsort(-clearness, kind="stable")[:MOST_COLUMNS]
    return np.sort(strongest[clearness[strongest] >= CLEAR_EFFECT])


def families(series: pd.DataFrame) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Rows of each level present, top first, with their parents (rows, number of parents), None for those without."""
    level = series["level"].to_numpy(object)
    result: list[tuple[np.ndarray, np.ndarray | None]] = []
    for name, chains in PARENTS.items():
        rows = np.flatnonzero(level == name)
        if not len(rows):
            continue
        parents = []
        for chain in chains:
            above = next((candidate for candidate in chain if (level == candidate).any()), None)
            if above is not None:
                candidates, keys = np.flatnonzero(level == above), list(KEYS[above])
                if keys:
                    index = pd.MultiIndex.from_frame(series.iloc[candidates][keys])
                    at = index.get_indexer(pd.MultiIndex.from_frame(series.iloc[rows][keys]))
                    parents.append(np.where(at >= 0, candidates[at], candidates[0]))
                else:
                    parents.append(np.full(len(rows), candidates[0]))
        result.append((rows, np.stack(parents, axis=1) if parents else None))
    return result


def _correct(part: StructuralFit, rate: np.ndarray, weight: np.ndarray) -> None:
    """Add what the history shows the fit to miss: the level of the last weeks, and means instead of medians."""
    history = rate.shape[1]
    usable = weight > 0
    recent, year = slice(max(history - LEVEL_DAYS, 0), history), slice(max(history - SMEAR_DAYS, 0), history)
    linear = part.linear(year.start, history)
    error = np.where(usable[:, recent], np.log1p(rate[:, recent]) - linear[:, -(history - recent.start) :], 0.0)
    mass = weight[:, recent].sum(axis=1)
    part.level[:] = LEVEL_SHARE * (error * weight[:, recent]).sum(axis=1) / np.maximum(mass, 1e-9) / part.scale
    part.level_decay[:] = LEVEL_DECAY
    # Smearing (Duan 1983) as a ratio: what was sold over what the medians of the last year add up to. What a month was
    # off as a whole is not noise, and is in the level already.
    rest = np.where(usable[:, year], np.log1p(rate[:, year]) - linear, 0.0)
    linear = linear + _monthly_mean(rest, weight[:, year])
    median = np.maximum(np.expm1(np.minimum(linear, 700.0)), 0.0)
    sold = (np.where(usable[:, year], rate[:, year], 0.0) * weight[:, year]).sum(axis=1)
    said = (median * weight[:, year]).sum(axis=1)
    part.smear[:] = np.clip(np.divide(sold, said, out=np.ones_like(sold), where=said > 0), *SMEAR_LIMITS)


def _components(fitted: StructuralFit, is_open: np.ndarray) -> Callable[..., dict[str, np.ndarray]]:
    def components(start: int, stop: int, rows: np.ndarray | None = None) -> dict[str, np.ndarray]:
        rows = np.arange(fitted.n_series) if rows is None else np.asarray(rows)
        share = is_open[rows, start:stop].astype(np.float64)
        parts = {name: part * share for name, part in fitted.components(start, stop, rows).items()}
        parts["yearly"] = parts["yearly"] + parts.pop("monthly")
        parts.setdefault("promotions", np.zeros_like(share))
        return parts

    return components


def _monthly_mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The weighted mean of each 28 days, counted from the last, on each of their days."""
    days = values.shape[1]
    block = np.arange(days - 1, -1, -1) // 28
    starts = np.flatnonzero(np.r_[True, np.diff(block) != 0])
    mass = np.add.reduceat(weight, starts, axis=1)
    mean = np.add.reduceat(values * weight, starts, axis=1) / np.maximum(mass, 1e-9)
    return mean[:, block[0] - block]


def _median(values: np.ndarray) -> np.ndarray:
    """The median along the last axis without the NaN, NaN where nothing else is there. (numpy's warns of that, and
    warnings cannot be silenced in one of two threads.)"""
    ordered = np.sort(values, axis=-1)  # NaN last
    count = np.isfinite(values).sum(axis=-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0), axis=-1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, values.shape[-1] - 1), axis=-1)
    return np.where(count > 0, (low + high) / 2, np.nan)[..., 0]


def tame(rate: np.ndarray) -> np.ndarray:
    """Rates (S, history) with days beyond belief drawn in: an unmarked closing is a fall without bottom in logs.

    The usual level is the median of each 56 days, the middle of three neighbours; beyond ``OUTLIER`` usual deviations
    from it (and beyond a third of it or seven times it), a day says no more than that.
    """
    series, history = rate.shape
    blocks = max(-(-history // 56), 1)
    value = np.full((series, blocks * 56), np.nan)
    value[:, blocks * 56 - history :] = np.log1p(rate)
    level = _median(value.reshape(series, blocks, 56))
    beside = np.pad(level, ((0, 0), (1, 1)), constant_values=np.nan)
    level = _median(np.stack([beside[:, :-2], level, beside[:, 2:]], axis=2))
    usual = np.repeat(level, 56, axis=1)
    reach = OUTLIER * 1.4826 * _median(np.abs(value - usual))[:, None]
    # Feasts sell many times the usual, so there is more room above.
    tamed = np.clip(value, usual - np.maximum(reach, 1.0), usual + np.maximum(reach, 2.0))
    return np.expm1(tamed)[:, blocks * 56 - history :]
