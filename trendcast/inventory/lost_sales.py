"""Demand under stock-outs: what would have been sold on days on which there was nothing to sell.

Sales of such a day are only a lower bound of its demand. What was lost is ``E[demand | demand >= sold] - sold``, from
what the day was expected to sell and from how far such expectations lie from the truth on days with stock (Wecker,
Management Science 24 (1978) 1043). Stock is known per category, so the category's demand is what was cut off: the
conditional mean is taken there, and shared among its series by what each of them fell short.
"""

from __future__ import annotations

import numpy as np

YEAR = 364
FEWEST_DAYS = 28  # days with stock, within a year, without which nothing is said
FEWEST_ABOVE = 5  # days that must have sold as much, relative to what was expected
LEVEL_DAYS = 14  # on each side: the level beside a day corrects what was expected of it
LEVEL_DOUBT = 7  # expected days' worth of belief in what was expected
LEVEL_LIMITS = (0.25, 4.0)
DOUBT_AFTER = 28  # days from the nearest day with stock after which half the loss is believed, then half of that


def lost_units(
    sold: np.ndarray,
    expected: np.ndarray,
    out: np.ndarray,
    group: np.ndarray,
) -> np.ndarray:
    """Units lost on stock-out days (B, T), float32; 0 on all others.

    sold (B, T): units of the bottom series, NaN where nothing was recorded. expected (B, T): what a model of the days
    with stock says of each day, 0 when closed. out (B, T) bool: the category was out of stock. group (B,): category of
    each series, integers from 0. Nothing is said where fewer than FEWEST_DAYS days of a year had stock, no more than
    the best of them sold is believed, and the less the longer the stock-out lasts.
    """
    result = np.zeros(sold.shape, np.float32)
    for g in np.unique(group[out.any(axis=1)]):
        rows = np.flatnonzero(group == g)
        result[rows] = _of_category(sold[rows], expected[rows], out[rows])
    return result


def _of_category(sold: np.ndarray, expected: np.ndarray, out: np.ndarray) -> np.ndarray:
    lost = np.zeros(sold.shape)
    usable = np.isfinite(sold) & ~out & (expected > 0)
    level = local_level(np.where(usable, sold, 0.0), np.where(usable, expected, 0.0), expected)
    believed = np.where(np.isfinite(expected), expected, 0.0) * level
    observed = np.isfinite(sold)
    kept = np.where(observed, sold, 0.0)
    total_sold, total_believed = kept.sum(axis=0), np.where(observed | out, believed, 0.0).sum(axis=0)
    days_out = np.flatnonzero(out.any(axis=0) & (total_believed > 0))
    with_stock = ~out.any(axis=0) & usable.any(axis=0) & (total_believed > 0)
    ratio = np.divide(total_sold, total_believed, out=np.zeros_like(total_sold), where=total_believed > 0)
    distance = _distance(with_stock)
    for day in days_out:
        start = max(0, int(day) - YEAR)
        near = np.flatnonzero(with_stock[start : day + YEAR]) + start
        if len(near) < FEWEST_DAYS:
            continue
        near = near[np.argsort(np.abs(near - day), kind="stable")[:YEAR]]  # a year's worth, the nearest ones
        above = ratio[near][ratio[near] >= ratio[day]]
        if len(above) < FEWEST_ABOVE:
            continue  # it sold more than days with stock ever do: nothing is known of what is above
        demand = min(above.mean() * total_believed[day], max(total_sold[near].max(), total_sold[day]))
        doubt = 0.5 ** max(0.0, distance[day] / DOUBT_AFTER - 1)
        gap = np.maximum(believed[:, day] * above.mean() - kept[:, day], 0.0) * out[:, day]
        whole = gap.sum()
        if whole > 0:
            lost[:, day] = gap / whole * max(demand - total_sold[day], 0.0) * doubt
    return lost.astype(np.float32)


def local_level(sold: np.ndarray, expected: np.ndarray, size: np.ndarray) -> np.ndarray:
    """What series sold over what was expected of them within LEVEL_DAYS days of each day (B, T), drawn to 1 as if
    another LEVEL_DOUBT days had sold just what ``size`` says."""

    def around(values: np.ndarray) -> np.ndarray:
        padded = np.cumsum(np.pad(values, ((0, 0), (LEVEL_DAYS + 1, LEVEL_DAYS))), axis=1)
        return np.asarray(padded[:, 2 * LEVEL_DAYS + 1 :] - padded[:, : -2 * LEVEL_DAYS - 1])

    known = np.where(np.isfinite(size), size, 0.0)
    doubt = LEVEL_DOUBT * np.maximum(around(known) / (2 * LEVEL_DAYS + 1), 1e-9)
    return np.clip((around(sold) + doubt) / (around(expected) + doubt), *LEVEL_LIMITS)


def _distance(known: np.ndarray) -> np.ndarray:
    """Days from each day to the nearest known one (T,)."""
    day = np.arange(len(known), dtype=float)
    before = np.maximum.accumulate(np.where(known, day, -np.inf))
    after = np.minimum.accumulate(np.where(known, day, np.inf)[::-1])[::-1]
    return np.asarray(np.minimum(day - before, after - day))


def plain_expectation(sold: np.ndarray, out: np.ndarray, weekday: np.ndarray) -> np.ndarray:
    """What days sell without any model (B, T): the mean of their weekday over the days with stock, at the level of the
    eight weeks around. For retailers whose structural model failed."""
    usable = np.isfinite(sold) & ~out
    kept = np.where(usable, sold, 0.0)

    def around(values: np.ndarray) -> np.ndarray:
        padded = np.cumsum(np.pad(values, ((0, 0), (29, 28))), axis=1)
        return np.asarray(padded[:, 57:] - padded[:, :-57])

    mass = around(usable.astype(float))
    level = np.divide(around(kept), mass, out=np.zeros(sold.shape), where=mass > 0)
    profile = np.ones((len(sold), 7))
    for d in range(7):
        on = weekday == d
        share = (kept[:, on]).sum(axis=1), (level * usable)[:, on].sum(axis=1)
        profile[:, d] = np.divide(share[0], share[1], out=np.ones(len(sold)), where=share[1] > 0)
    return np.asarray(level * profile[:, weekday])
