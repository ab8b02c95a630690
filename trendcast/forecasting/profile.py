"""The profile member: recent level x weekday x day of year x day of month x events x promotion.

A multiplicative decomposition of all series at once. Each factor is the ratio of what was sold to what the other
factors expect on its days (iterative proportional fitting: the likelihood equations of a Poisson model), so that sums
are unbiased and zeros do no harm. Factors are pulled towards the series' category, and that towards its level of the
hierarchy, by how noisy the series is. The level is the same ratio over the last weeks; growth beyond them did not pay.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from trendcast.features.calendar import weekday, year_month_day
from trendcast.features.known_ahead import expected_promotion
from trendcast.forecasting.baselines import promotion_ratio, rates
from trendcast.forecasting.members import MemberForecast, finish
from trendcast.panel import Panel

NAME = "profile"


@dataclass(frozen=True)
class ProfileSettings:
    """Half-lives and widths in days; a spread is how far a factor is believed to differ from its pool's (relative)."""

    longest: int = 1826  # days of history used
    weekly_half_life: float = 365.0
    weekly_spread: float = 0.15
    yearly_half_life: float = 1461.0
    yearly_width: float = 6.0
    yearly_spread: float = 0.05
    monthly_width: float = 1.0
    monthly_spread: float = 0.01
    event_spread: float = 0.1
    event_days: tuple[int, ...] = (-3, -2, -1, 0, 1, 2)
    rare: float = 0.06  # an event on a larger share of days has no days before and after
    level_half_life: float = 14.0
    promotion_spread: float = 0.05
    rounds: int = 4


@dataclass(frozen=True, eq=False)
class Factor:
    """One calendar factor: `code` (days,) is each day's position, `kernel` (K, K) lends to neighbouring positions."""

    code: np.ndarray
    kernel: np.ndarray
    recency: np.ndarray  # (history,) how much a past day counts
    spread: float


@dataclass(frozen=True, eq=False)
class Decomposition:
    """What the last `history` days and the days ahead are made of, (S, history + horizon) unless said otherwise.

    A fully open day is expected to sell scale x level x lift x weekly x yearly x monthly x event.
    """

    history: int
    scale: np.ndarray  # (S, 1) mean units of an open day
    sold: np.ndarray  # (S, history) in scales, wild days clipped, 0 where not known
    weight: np.ndarray  # (S, history) open share where known, else 0
    lift: np.ndarray
    weekly: np.ndarray
    yearly: np.ndarray
    monthly: np.ndarray
    event: np.ndarray
    level: np.ndarray  # (S,) of the last weeks, in scales


def forecast(panel: Panel, horizon: int, settings: ProfileSettings | None = None) -> MemberForecast:
    """Forecasts of every series; days before a series' first sale and closed days teach nothing."""
    d = decomposition(panel, horizon) if settings is None else decompose(panel, horizon, settings)
    ahead = slice(d.history, None)
    shape = d.lift[:, ahead] * d.weekly[:, ahead] * d.yearly[:, ahead] * d.monthly[:, ahead] * d.event[:, ahead]
    rate = d.level[:, None] * d.scale * shape.astype(np.float64)
    return MemberForecast(finish(rate * panel.open[:, panel.history : panel.history + horizon], panel))


# The ARIMA member starts from the same factors of the same panel; they live as long as the panel does.
_made: WeakKeyDictionary[Panel, Decomposition] = WeakKeyDictionary()


def decomposition(panel: Panel, horizon: int) -> Decomposition:
    """``decompose`` with the settings of the member, computed once per panel; not to be changed."""
    found = _made.get(panel)
    if found is None or found.lift.shape[1] != found.history + horizon:
        found = _made[panel] = decompose(panel, horizon, ProfileSettings())
    return found


def decompose(panel: Panel, horizon: int, s: ProfileSettings) -> Decomposition:
    """The factors of every series at the panel's origin."""
    panel = expected_promotion(panel)
    first = max(0, panel.history - s.longest)
    history = panel.history - first
    days = slice(first, panel.history + horizon)
    dates = panel.dates[days]
    promotion = panel.promotion[:, days]
    promoted = bool((promotion[:, :history] > 0).any())
    week = weekday(dates)
    age = history - 1 - np.arange(history)
    pools = Pools(panel)

    rate = rates(panel)[:, first:]
    known = (~np.isnan(rate)).astype(np.float32)
    sold = np.nan_to_num(rate).astype(np.float32)
    count = known.sum(axis=1)
    mean = sold.sum(axis=1) / np.maximum(count, 1)
    scale = np.where(mean > 0, mean, 1).astype(np.float32)[:, None]
    sold /= scale
    # A day with half of the capacity open tells half as much.
    weight = known * panel.open[:, first : panel.history]

    calendar = [
        Factor(week, np.eye(7), 0.5 ** (age / s.weekly_half_life), s.weekly_spread),
        Factor(day_of_year(dates), _circular(366, s.yearly_width), 0.5 ** (age / s.yearly_half_life), s.yearly_spread),
        Factor(
            year_month_day(dates)[2] - 1,
            _circular(31, s.monthly_width),
            0.5 ** (age / s.yearly_half_life),
            s.monthly_spread,
        ),
    ]
    ratio = np.repeat(promotion_ratio(panel)[:, None], 7, axis=1)
    lift = (1 + (ratio[:, week] - 1) * promotion).astype(np.float32)
    parts = [np.ones_like(lift) for _ in calendar]
    columns, place = event_columns(panel, days, history, s)
    log_event = np.zeros((panel.n_series, columns.shape[1]))
    event = np.ones_like(lift)

    noise = np.full(panel.n_series, 0.1)
    for turn in range(s.rounds):
        shape = lift * event
        for part in parts:
            shape *= part
        trend = local_level(sold * known, shape[:, :history] * known, 364 if turn == 0 else 182)
        expected = trend * shape[:, :history]
        if turn:
            # One wild day must not shape a season.
            sold = np.clip(sold, expected / 3, expected * 3) * known
            noise = ((sold - expected * known) ** 2).sum(axis=1) / np.maximum((expected**2 * known).sum(axis=1), 1e-9)
        observed = sold * weight
        expected *= weight
        for k, factor in enumerate(calendar):
            expected /= parts[k][:, :history]
            parts[k] = _fit(factor, observed, expected, noise, pools)
            expected *= parts[k][:, :history]
        if promoted:
            expected /= lift[:, :history]
            on = promotion[:, :history]
            top = _positions(observed * on, week[:history], 7)
            bottom = _positions(expected * lift[:, :history] * on, week[:history], 7)
            ratio = np.clip(ratio * pools.shrink(top, bottom, noise, s.promotion_spread), 0.2, 5.0)
            lift = (1 + (ratio[:, week] - 1) * promotion).astype(np.float32)
            expected *= lift[:, :history]
        if columns.shape[1]:
            log_event = _fit_events(
                columns, place, log_event, observed, expected, noise, pools, s.event_spread, history
            )
            event = _event_factor(columns, place, log_event)
    shape = lift * event
    for part in parts:
        shape *= part
    recency = 0.5 ** (age / s.level_half_life)
    top, bottom = (sold * weight) @ recency, (shape[:, :history] * weight) @ recency
    return Decomposition(
        history=history,
        scale=scale,
        sold=sold,
        weight=weight,
        lift=lift,
        weekly=parts[0],
        yearly=parts[1],
        monthly=parts[2],
        event=event,
        level=np.where(bottom > 0, top / np.maximum(bottom, 1e-30), 0.0),
    )


class Pools:
    """Rows of one level and category, and rows of one level: who learns from whom."""

    def __init__(self, panel: Panel) -> None:
        self.category = panel.series.groupby(["level", "product_category"]).ngroup().to_numpy()
        self.level = panel.series.groupby("level").ngroup().to_numpy()

    def shrink(self, top: np.ndarray, bottom: np.ndarray, noise: np.ndarray, spread: float) -> np.ndarray:
        """top / bottom (S, K), pulled to the category's, that to the level's, that to 1, each as if by noise / spread^2
        days of it."""
        strength = np.maximum(noise / spread**2, 0.01)[:, None]
        level_strength, category_strength = group_mean(strength, self.level), group_mean(strength, self.category)
        level = (group_sum(top, self.level) + level_strength) / (group_sum(bottom, self.level) + level_strength)
        above = (group_sum(top, self.category) + category_strength * level) / (
            group_sum(bottom, self.category) + category_strength
        )
        return (top + strength * above) / (bottom + strength)


def group_sum(values: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Sums of rows with the same code, at each of these rows."""
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    return np.add.reduceat(values[order], starts, axis=0)[code]


def group_mean(values: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Means of rows with the same code, at each of these rows."""
    return group_sum(values, code) / np.bincount(code)[code][:, None]


def day_of_year(dates: np.ndarray) -> np.ndarray:
    """Position in a leap year, 0..365: 1 March is 60 in every year, so that seasons and feasts of all years align."""
    _, month, day = year_month_day(dates)
    return np.array([0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335])[month - 1] + day - 1


def _circular(size: int, width: float) -> np.ndarray:
    """Gaussian kernel on a circle of positions."""
    gap = np.abs(np.arange(size)[:, None] - np.arange(size))
    return np.exp(-0.5 * (np.minimum(gap, size - gap) / max(width, 1e-3)) ** 2)


def local_level(sold: np.ndarray, expected: np.ndarray, window: int) -> np.ndarray:
    """Sum of sold / sum of expected over a centred window, shorter at the ends; 1 where nothing is expected.

    In steps of a week, counted back from the last day: daily ones would cost more than everything else.
    """
    days = sold.shape[1]
    weeks = -(-days // 7)
    step = np.arange(weeks)
    reach = window // 14
    low, high = np.maximum(step - reach, 0), np.minimum(step + reach + 1, weeks)

    def box(values: np.ndarray) -> np.ndarray:
        blocks = np.zeros((len(values), weeks + 1))
        starts = np.maximum(days - 7 * np.arange(weeks, 0, -1), 0)
        np.cumsum(np.add.reduceat(values, starts, axis=1), axis=1, out=blocks[:, 1:])
        return blocks[:, high] - blocks[:, low]

    top, bottom = box(sold), box(expected)
    level = np.where(bottom > 1e-6, top / np.maximum(bottom, 1e-6), 1.0).astype(np.float32)
    return np.repeat(level, 7, axis=1)[:, 7 * weeks - days :]


def _positions(values: np.ndarray, code: np.ndarray, size: int) -> np.ndarray:
    """Sums of values (S, T) by position, (S, size)."""
    member = np.zeros((len(code), size), np.float32)
    member[np.arange(len(code)), code] = 1
    return (values @ member).astype(np.float64)


def _fit(factor: Factor, observed: np.ndarray, expected: np.ndarray, noise: np.ndarray, pools: Pools) -> np.ndarray:
    history, size = observed.shape[1], len(factor.kernel)
    recency = factor.recency.astype(np.float32)
    code = factor.code[:history]
    top = _positions(observed * recency, code, size) @ factor.kernel
    bottom = _positions(expected * recency, code, size) @ factor.kernel
    values = pools.shrink(top, bottom, noise, factor.spread)
    return values.astype(np.float32)[:, factor.code]


def event_columns(panel: Panel, days: slice, history: int, s: ProfileSettings) -> tuple[np.ndarray, np.ndarray]:
    """Indicators (regions, columns, days) of the events seen in the history, of rare ones also on the days around
    them, and the region row of each series."""
    indicator = panel.events.indicator[:, :, days]
    on = indicator.max(axis=0) > 0
    found = []
    for k in range(indicator.shape[1]):
        if not on[k, :history].any():
            continue
        offsets = s.event_days if on[k].mean() <= s.rare else (0,)
        for offset in offsets:
            moved = np.zeros_like(indicator[:, k])
            if offset >= 0:
                moved[:, offset:] = indicator[:, k, : moved.shape[1] - offset]
            else:
                moved[:, :offset] = indicator[:, k, -offset:]
            found.append(moved)
    columns = np.stack(found, axis=1) if found else np.zeros((len(indicator), 0, indicator.shape[2]), np.float32)
    return columns, panel.events.for_regions(panel.series["region"])


def _fit_events(
    columns: np.ndarray,
    place: np.ndarray,
    effect: np.ndarray,
    observed: np.ndarray,
    expected: np.ndarray,
    noise: np.ndarray,
    pools: Pools,
    spread: float,
    history: int,
) -> np.ndarray:
    """Logarithms of the factor on each event column, (S, columns)."""
    top, bottom = np.zeros(effect.shape), np.zeros(effect.shape)
    for row in np.unique(place):
        members = place == row
        column = columns[row, :, :history].T
        top[members] = observed[members] @ column
        bottom[members] = expected[members] @ column
    # What is expected without this column; halfway only, because columns overlap.
    new = np.log(np.clip(pools.shrink(top, bottom / np.exp(effect), noise, spread), 0.05, 20.0))
    return np.where(effect == 0, new, (new + effect) / 2)


def _event_factor(columns: np.ndarray, place: np.ndarray, effect: np.ndarray) -> np.ndarray:
    out = np.ones((len(effect), columns.shape[2]), np.float32)
    for row in np.unique(place):
        members = place == row
        out[members] = np.exp(effect[members].astype(np.float32) @ columns[row])
    return out
