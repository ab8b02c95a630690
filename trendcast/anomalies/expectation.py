"""What a day was expected to sell, known the evening before: the frozen forecast, or else the same weekdays of the last
eight weeks, their drift, and what events and promotions did before (all series and days at once, in logarithms).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trendcast.anomalies.arrays import lagged_median, median
from trendcast.anomalies.scene import Scene

WEEKS = tuple(7 * k for k in range(1, 9))
LEAST_WEEKS = 3
RECENT = tuple(range(1, 15))
LEAST_RECENT = 5
DRIFT = 0.8
MOST_DRIFT = 0.7
LEARNING = 28  # days of history below which a series is still being learnt
TELLING = 14  # days of an accepted level that say how far it has moved
TEACHERS = 500  # series that are enough to know the weekdays of all
SHORTEST = 8  # and below which nothing is expected of it


@dataclass(frozen=True, eq=False)
class Expectation:
    """``log``: log(1 + expected units) (S, T), NaN where nothing can be expected. ``frozen``: the published forecast.
    ``examples``: earlier occurrences of the day's event, inf on ordinary days. ``observed``: days seen before.
    ``followed``: how far the expectation has moved with the last week, in logarithms. ``lift``: what a promotion of the
    day was learnt to do, in logarithms, 0 without one."""

    log: np.ndarray
    frozen: np.ndarray
    examples: np.ndarray
    observed: np.ndarray
    followed: np.ndarray
    lift: np.ndarray

    @cached_property
    def units(self) -> np.ndarray:
        return np.maximum(np.expm1(self.log), 0.0)


def expect(scene: Scene) -> Expectation:
    """The expectation of every series and day; a day is never looked at for its own."""
    x = np.log1p(scene.units)
    seen = np.isfinite(x) & ~scene.closed
    usable = seen & ~scene.masked
    x, step = _accept(x, usable, scene)
    # Middles bear a single holiday, but not weeks of promotion.
    calm = np.where(usable & ~scene.promoted, x, np.nan)
    level = lagged_median(calm, WEEKS, LEAST_WEEKS)
    short = np.isnan(level)
    rows = np.flatnonzero(short[:, WEEKS[-1] :].any(axis=1))
    if len(rows):
        every = lagged_median(np.where(usable[rows], x[rows], np.nan), WEEKS, LEAST_WEEKS)
        level[rows] = np.where(short[rows], every, level[rows])
    level = _newly_accepted(level, x, usable, scene, step)
    observed = np.cumsum(seen, axis=1) - seen
    level = _young(level, np.where(usable, x, np.nan), observed)
    drift = lagged_median(calm - level, RECENT, LEAST_RECENT)
    drift = DRIFT * np.clip(np.nan_to_num(drift), -MOST_DRIFT, MOST_DRIFT)
    base = level + drift
    # The drift of a week ago has not followed a shift that has just begun.
    followed = drift - np.pad(drift, ((0, 0), (7, 0)))[:, : drift.shape[1]]
    effect, lift, examples = _effects(scene, x - base, usable)
    frozen = np.isfinite(scene.forecast)
    for row in np.flatnonzero(step):  # what was published did not know of the new level yet
        frozen[row, scene.accepted[row] : scene.accepted[row] + 2 * LEARNING] = False
        base[row, : scene.accepted[row]] -= step[row]
    log = np.where(frozen, np.log1p(np.maximum(np.nan_to_num(scene.forecast), 0)), base + effect)
    # What a forecast did not know of a promotion is in its residuals on such days; an event it may never have seen.
    known = np.where(scene.event > 0, scene.seen[scene.event] + examples, np.inf)
    examples = np.where(frozen, known, examples)
    return Expectation(log, frozen, examples, observed, np.where(frozen, 0.0, np.nan_to_num(followed)), lift)


def _accept(x: np.ndarray, usable: np.ndarray, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """History before an accepted level, moved to that level: nothing has to be learnt anew; and by how much (S,)."""
    moved = np.zeros(len(x))
    rows = np.flatnonzero(scene.accepted > 0)
    if not len(rows):
        return x, moved
    x = x.copy()
    plain = lagged_median(np.where(usable[rows], x[rows], np.nan), WEEKS, LEAST_WEEKS)
    for row, own in zip(rows, plain, strict=True):
        since = slice(int(scene.accepted[row]), int(scene.accepted[row]) + TELLING)
        step = median((x[row] - own)[since], 1)
        if np.isfinite(step):
            x[row, : since.start] += step
            moved[row] = step
    return x, moved


def _newly_accepted(level: np.ndarray, x: np.ndarray, usable: np.ndarray, scene: Scene, step: np.ndarray) -> np.ndarray:
    """The level of the days whose own sales tell the step of an accepted one: by the step as it was known before each,
    so that no day is expected by itself. ``x``: history moved by the whole ``step``."""
    rows = np.flatnonzero(step)
    if not len(rows):
        return level
    begin = scene.accepted[rows][:, None]
    days = begin + np.arange(TELLING)[None, :]  # (R, D); those beyond the last are not known
    lags = days[:, :, None] - np.array(WEEKS)[None, None, :]
    inside = (lags >= 0) & (lags < scene.days)
    at = (rows[:, None, None], np.where(inside, lags, 0))
    moved, before = step[rows][:, None, None], lags < begin[:, :, None]
    known = np.where(inside & usable[at], x[at] - np.where(before, moved, 0.0), np.nan)
    last = np.minimum(days, scene.days - 1)
    since = np.where(days < scene.days, x[rows[:, None], last], np.nan) - median(known, LEAST_WEEKS)
    earlier = np.tri(TELLING, k=-1, dtype=bool)  # of each day those before it
    told = np.nan_to_num(median(np.where(earlier, since[:, None, :], np.nan)))
    known = known + np.where(before, told[:, :, None], 0.0)
    calm = median(np.where(scene.promoted[at], np.nan, known), LEAST_WEEKS)
    found = np.where(np.isnan(calm), median(known, LEAST_WEEKS), calm)
    level = level.copy()
    row, day = np.nonzero(days < scene.days)
    level[rows[row], days[row, day]] = found[row, day]
    return level


def _young(level: np.ndarray, x: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """A series without three like weekdays: the middle of its last two weeks, with the weekdays of all the others."""
    young = np.isnan(level) & (observed >= SHORTEST) & (observed < LEARNING)
    if level.shape[1] > 2 * LEARNING:
        young[:, :LEARNING] = False  # the window begins there, not the series
    rows = np.flatnonzero(young.any(axis=1))
    if not len(rows):
        return level
    others = np.flatnonzero(~young.any(axis=1))[:TEACHERS]
    recent = lagged_median(x[rows], RECENT, LEAST_RECENT)
    weekday = median((level[others] - lagged_median(x[others], RECENT, LEAST_RECENT)).T, 1) if len(others) else 0.0
    level[rows] = np.where(young[rows], recent + np.nan_to_num(weekday), level[rows])
    return level


def _effects(scene: Scene, rest: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What events and promotions did, shrunk to what they did to everybody: (S, T), 0 on ordinary days; the part of it
    that is the promotion's; and how many occurrences that was learnt from, inf on ordinary days.

    own = (sum of own residuals + 2 x the mean of all) / (n + 2); the mean of all is shrunk by one occurrence.
    """
    promotion, dip = len(scene.events), len(scene.events) + 1  # learnt beside the events, by the same rule
    effect, lifts = np.zeros(rest.shape), np.zeros(rest.shape)
    examples = np.full(rest.shape, np.inf)
    own_sum, own_n = np.zeros((dip + 1, len(rest))), np.zeros((dip + 1, len(rest)))
    all_sum, all_n = np.zeros(dip + 1), np.zeros(dip + 1)
    planned = np.where(scene.promoted, promotion, np.where(scene.after_promotion, dip, 0))
    series = np.arange(len(rest))
    for taught in scene.taught:
        own_sum[taught.event, taught.rows] += taught.effects
        own_n[taught.event, taught.rows] += 1
        all_sum[taught.event] += taught.effects.mean()
        all_n[taught.event] += 1

    def learnt(code: np.ndarray) -> np.ndarray:
        common = all_sum[code] / (all_n[code] + 1)
        return np.where(code > 0, (own_sum[code, series] + 2 * common) / (own_n[code, series] + 2), 0.0)

    for day in np.flatnonzero((scene.event > 0).any(axis=0) | (planned > 0).any(axis=0)):
        event, plan = scene.event[:, day], planned[:, day]
        lift = learnt(plan)
        effect[:, day] = lift + learnt(event)
        lifts[:, day] = np.where(plan == promotion, lift, 0.0)
        n = np.where(event > 0, all_n[event], np.inf)
        examples[:, day] = np.where(plan > 0, np.minimum(n, own_n[plan, series]), n)
        left = rest[:, day]
        known = usable[:, day] & np.isfinite(left)
        # A day under an event teaches the event only: a promotion has plainer days to be learnt from.
        for code, mine, value in (
            (event, known & (event > 0), left - lift),
            (plan, known & (plan > 0) & (event == 0), left),
        ):
            if not mine.any():
                continue
            own_sum[code[mine], series[mine]] += value[mine]
            own_n[code[mine], series[mine]] += 1
            for one in np.unique(code[mine]):
                all_sum[one] += value[mine & (code == one)].mean()
                all_n[one] += 1
    return effect, lifts, examples
