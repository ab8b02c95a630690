"""The naive forecasts every other member has to beat: array programs over the whole panel."""

from __future__ import annotations

import numpy as np

from trendcast.features.calendar import weekday
from trendcast.features.known_ahead import expected_promotion
from trendcast.forecasting.members import MemberForecast, finish
from trendcast.panel import Panel

YEAR = 364
# A day with less of its capacity open says little about a day with all of it.
MEANINGFUL_OPEN = 0.02
GROWTH_DAYS = 56
GROWTH_POWER = 0.8


def rates(panel: Panel) -> np.ndarray:
    """Units per fully open day, (S, history): NaN where closed, not observed, out of stock, or doubtful."""
    history = panel.history
    share = panel.open[:, :history].astype(np.float64)
    usable = (share > MEANINGFUL_OPEN) & ~panel.silent[:, :history]
    return np.where(usable, panel.units[:, :history] / np.where(usable, share, 1.0), np.nan)


def latest(values: np.ndarray) -> np.ndarray:
    """The last value that is not NaN along the last axis; NaN if there is none."""
    known = ~np.isnan(values)
    last = values.shape[-1] - 1 - np.argmax(known[..., ::-1], axis=-1)
    found = np.take_along_axis(values, last[..., None], axis=-1)[..., 0]
    return np.where(known.any(axis=-1), found, np.nan)


def last_week(rate: np.ndarray, days: np.ndarray) -> np.ndarray:
    """The latest rate of each weekday, (S, 7); a weekday never open gets the mean of the others, 0 without any."""
    week = np.stack(
        [latest(rate[:, days == d]) if (days == d).any() else np.full(len(rate), np.nan) for d in range(7)], axis=1
    )
    known = ~np.isnan(week)
    mean = np.where(known, week, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known, week, mean[:, None])


def naive7(panel: Panel, horizon: int) -> MemberForecast:
    """What was sold on the last open day of the same weekday, for the share of capacity open on the target day."""
    days = weekday(panel.dates)
    week = last_week(rates(panel), days[: panel.history])
    ahead = slice(panel.history, panel.history + horizon)
    return MemberForecast(finish(week[:, days[ahead]] * panel.open[:, ahead], panel))


def naive364(panel: Panel, horizon: int) -> MemberForecast:
    """The same weekday a year ago x the growth of the last eight weeks over the same weeks of last year.

    Last year's promotions are exchanged for the planned ones at their measured ratio. Growth is damped and clipped;
    days whose last year is not known (or fell on a closing) take the week before or after, then the last week.
    """
    panel = expected_promotion(panel)
    history, days = panel.history, panel.history + horizon
    lift = 1 + (promotion_ratio(panel)[:, None] - 1) * panel.promotion[:, :days]
    rate = np.full((panel.n_series, days), np.nan)
    rate[:, :history] = rates(panel) / lift[:, :history]
    recent = slice(max(0, history - GROWTH_DAYS), history)
    now, before = rate[:, recent], _shifted(rate, YEAR)[:, recent]
    both = ~(np.isnan(now) | np.isnan(before))
    top, bottom = np.where(both, now, 0).sum(axis=1), np.where(both, before, 0).sum(axis=1)
    usable = (both.sum(axis=1) >= GROWTH_DAYS // 2) & (bottom > 0) & (top > 0)
    growth = np.where(usable, np.clip(top / np.where(usable, bottom, 1.0), 0.5, 2.0) ** GROWTH_POWER, 1.0)
    mean = np.full((panel.n_series, horizon), np.nan)
    for lag in (YEAR, YEAR + 7, YEAR - 7):
        same = _shifted(rate, lag)[:, history:]
        mean = np.where(np.isnan(mean), same * growth[:, None], mean)
    weekdays = weekday(panel.dates)
    week = last_week(rate[:, :history], weekdays[:history])[:, weekdays[history:days]]
    mean = np.where(np.isnan(mean), week, mean) * lift[:, history:] * panel.open[:, history:days]
    return MemberForecast(finish(mean, panel))


def _shifted(values: np.ndarray, lag: int) -> np.ndarray:
    """values[:, t - lag], NaN where that lies before the first day or is not known."""
    out = np.full(values.shape, np.nan)
    if lag < values.shape[1]:
        out[:, lag:] = values[:, :-lag]
    return out


def promotion_ratio(panel: Panel) -> np.ndarray:
    """Sales under promotion / sales without, (S,), other things equal; 1 where nothing can be learnt.

    Mantel-Haenszel ratio over strata of eight weeks x weekday, so that neither season nor weekday passes for promotion.
    Series are pulled towards their category, rows whose promotion is a share (not all or nothing) take its ratio.
    """
    rate, history = rates(panel), panel.history
    promotion = np.nan_to_num(panel.promotion[:, :history])
    if not (promotion > 0).any():
        return np.ones(panel.n_series)
    known = ~np.isnan(rate)
    # Relative to the series' own mean, so that every series of a pool speaks with one voice.
    size = np.where(known, rate, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    sold = np.where(known, rate / np.where(size > 0, size, 1.0)[:, None], 0.0).astype(np.float32)
    day = np.arange(history)
    stratum = (history - 1 - day) // 56 * 7 + weekday(panel.dates[:history])
    codes, stratum = np.unique(stratum, return_inverse=True)
    member = np.zeros((history, len(codes)), np.float32)
    member[day, stratum] = 1
    on = np.where(known, promotion, np.float32(0))
    off = np.where(known, 1 - promotion, np.float32(0))
    n1, n0, s1, s0 = on @ member, off @ member, (on * sold) @ member, (off * sold) @ member
    total = np.maximum(n1 + n0, 1e-9)
    top = (s1 * n0 / total).sum(axis=1, dtype=np.float64)
    bottom = (s0 * n1 / total).sum(axis=1, dtype=np.float64)
    sharp = (np.abs(promotion - 0.5) > 0.4).mean(axis=1) > 0.9
    top, bottom = np.where(sharp, top, 0), np.where(sharp, bottom, 0)
    everywhere = _pooled(top.sum(), bottom.sum(), np.array(1.0), 1.0)
    category = panel.series["product_category"].to_numpy(object)
    names, code = np.unique(category.astype(str), return_inverse=True)
    pool = _pooled(np.bincount(code, top), np.bincount(code, bottom), everywhere, 20.0)
    pool[names == ""] = everywhere
    return np.clip(_pooled(top, bottom, pool[code], 5.0), 0.2, 5.0)


def _pooled(top: np.ndarray, bottom: np.ndarray, prior: np.ndarray, strength: float) -> np.ndarray:
    """top / bottom pulled towards the prior as if by `strength` days of it."""
    return (top + strength * prior) / (bottom + strength)
