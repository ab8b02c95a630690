"""Units in money, from the bottom series up, so that money adds up at every level, on every day and in every week.

A mean price of an aggregate would be wrong as soon as its mix changes: a bottom series is priced, and all above it is a
sum. What has no price at all counts for nothing; a node none of whose series has a price has no money (NaN).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from trendcast.panel import Panel

RECENT_DAYS = 56


def recent_prices(bottom: Panel) -> np.ndarray:
    """Money per unit of each bottom series (B,): revenue over units of the last 56 days, else the last price known,
    else NaN."""
    sold, revenue = _recent(bottom)
    price = bottom.price[:, : bottom.history]
    known = np.isfinite(price)
    last = price.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    older = np.where(known.any(axis=1), price[np.arange(len(price)), last], np.nan)
    return np.divide(revenue, sold, out=older.astype(np.float64), where=sold > 0)


def unit_prices(bottom: Panel, summing: Any) -> np.ndarray:
    """Money per unit of every node (S,) at the mix of the last 56 days, NaN where unknown: to show, not to multiply."""
    sold, revenue = _recent(bottom)
    total = summing @ sold
    price = np.divide(summing @ revenue, total, out=np.full(len(total), np.nan), where=total > 0)
    price[-len(sold) :] = recent_prices(bottom)
    return price


def _recent(bottom: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Units and revenue (B,) of the last 56 days, of days with a known price."""
    recent = slice(max(bottom.history - RECENT_DAYS, 0), bottom.history)
    units, price = np.nan_to_num(bottom.units[:, recent]), bottom.price[:, recent].astype(np.float64)
    known = np.isfinite(price) & (units > 0)
    return np.where(known, units, 0.0).sum(axis=1), np.where(known, units * np.nan_to_num(price), 0.0).sum(axis=1)


def ahead(bottom: Panel, means: np.ndarray, summing: Any) -> np.ndarray:
    """Expected money (S, H) of every node: ``means`` (B, H) of the bottom series at the planned price of the day, or
    at their recent price where none is planned."""
    planned = bottom.price[:, bottom.history : bottom.history + means.shape[1]].astype(np.float64)
    price = np.full(means.shape, np.nan)
    price[:, : planned.shape[1]] = planned
    return added(means * np.where(np.isfinite(price), price, recent_prices(bottom)[:, None]), summing)


def past(bottom: Panel) -> np.ndarray:
    """Money of the bottom series in the past (B, history), float32: units at the price of the day, or at the recent
    price where that day has none; NaN where units or price are not known."""
    units = bottom.units[:, : bottom.history]
    price = bottom.price[:, : bottom.history]
    money = units * np.where(np.isfinite(price), price, recent_prices(bottom).astype(np.float32)[:, None])
    return np.where(units == 0, 0.0, money).astype(np.float32)


def lost(bottom: Panel, units: np.ndarray) -> np.ndarray:
    """Money of ``units`` (B, history) that were not sold, float32: at the price of the day, else the recent price."""
    price = bottom.price[:, : units.shape[1]]
    recent = recent_prices(bottom).astype(np.float32)[:, None]
    return np.where(units == 0, 0.0, units * np.where(np.isfinite(price), price, recent)).astype(np.float32)


def added(money: np.ndarray, summing: Any) -> np.ndarray:
    """Money (B, days) summed for the rows of ``summing`` (S, B); NaN where none of a node's series has any."""
    used = np.unique(summing.indices)  # a few rows ask for a few series
    summing, money = summing[:, used], money[used]
    known = np.isfinite(money)
    return np.where(summing @ known.astype(np.float32) > 0, summing @ np.where(known, money, 0), np.nan)
