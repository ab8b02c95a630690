"""The demo retailer's stock, per category: what arrives, what is sold of what is wanted, and what is ordered again.

Each day: receipts arrive, customers come, what is not there is lost, the stock is recorded, the position is reviewed,
an order goes out. The rule is the retailer's own and knows no forecast: reorder at ``COVER`` times the demand of a
lead time as it was lately, times a factor per category that people once set and nobody looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trendcast.demo.demand import Retailer

COVER = 1.5
SPREAD = 0.15  # of the logarithm of the factor per category
TRAILING = 56  # days of sales the rule looks back on
REVIEW = 7  # days between two looks at the reorder point
LEADS = (3, 5, 7, 7, 10, 14, 21)  # days that suppliers promise
_LONGEST = 90


@dataclass(frozen=True)
class Stock:
    """Arrays (categories, history) of a day's end; orders as parallel arrays, in the order they went out."""

    level: np.ndarray
    reorder_point: np.ndarray
    promised: np.ndarray  # lead time in days, as the supplier promises it that day
    stockout: np.ndarray  # bool: somebody went without
    sold: np.ndarray
    received: np.ndarray
    order_category: np.ndarray
    order_quantity: np.ndarray
    order_day: np.ndarray
    order_due: np.ndarray
    order_arrival: np.ndarray
    order_received: np.ndarray  # quantity that arrives


def keep(retailer: Retailer) -> Stock:
    """The stock over the retailer's history."""
    streams, count, history = retailer.streams, len(retailer.categories), retailer.history
    wanted = retailer.by_category(retailer.demand[:, :history])
    begins = np.array([retailer.begins[retailer.category == c].min() for c in range(count)])
    ends = np.array([retailer.ends[retailer.category == c].max() for c in range(count)])
    rng = streams.once("stock")
    factor = COVER * np.exp(rng.normal(0, SPREAD, count))
    lead = rng.choice(LEADS, count)
    lot_days, multiple = rng.uniform(14, 28, count), rng.choice([6, 12, 24], count)
    promised = _promised(retailer, lead)
    taken = _taken(retailer, promised)
    short = streams.daily("short", count, retailer.length, lambda r, s: np.where(r.random(s) < 0.03, 0.9, 1.0))
    usual = _usual(retailer, begins)

    level, point = np.zeros((count, history)), np.zeros((count, history))
    sold, received = np.zeros((count, history)), np.zeros((count, history))
    so_far = np.zeros((count, history + 1))
    arrivals = np.zeros((count, history + _LONGEST + 1))
    landing = np.zeros((count, history + _LONGEST + 1))  # what was ordered of what arrives
    on_hand, on_order, reorder = np.zeros(count), np.zeros(count), np.zeros(count)
    lot = np.maximum(np.ceil(usual * lot_days / multiple), 1) * multiple
    orders = []
    for t in range(history):
        opening = begins == t
        if opening.any():
            on_hand[opening] = np.ceil((usual * (factor * promised[:, t] + lot_days / 2))[opening])
        if t % REVIEW == 0 or opening.any():
            age = np.clip(t - begins, 0, None)
            back = np.maximum(t - TRAILING, 0)
            lately = (so_far[:, t] - so_far[:, back]) / TRAILING
            # A young category is judged by what was planned for it.
            daily = np.where(age >= TRAILING, lately, usual)
            reorder = np.where(age >= 0, np.ceil(factor * daily * promised[:, t]), 0.0)
            lot = np.maximum(np.ceil(daily * lot_days / multiple), 1) * multiple
        received[:, t] = arrivals[:, t]
        on_hand += arrivals[:, t]
        on_order -= landing[:, t]
        sold[:, t] = np.minimum(on_hand, wanted[:, t])
        on_hand -= sold[:, t]
        so_far[:, t + 1] = so_far[:, t] + sold[:, t]
        level[:, t], point[:, t] = on_hand, reorder
        for c in np.flatnonzero((on_hand + on_order <= reorder) & (t >= begins) & (t < ends - 30)):
            quantity = lot[c] * max(1, np.ceil((reorder[c] - on_hand[c] - on_order[c] + 1) / lot[c]))
            arrival, comes = t + int(taken[c, t]), np.floor(quantity * short[c, t])
            arrivals[c, arrival] += comes
            landing[c, arrival] += quantity
            on_order[c] += quantity
            orders.append((c, quantity, t, t + int(promised[c, t]), arrival, comes))
    table = np.array(orders, dtype="int64").reshape(-1, 6).T
    return Stock(level, point, promised[:, :history], sold < wanted, sold, received, *table)


def served(retailer: Retailer, stock: Stock) -> np.ndarray:
    """Whole units sold per series and day (series, history): what there is of a category is shared out by demand."""
    out = retailer.demand[:, : retailer.history].copy()
    for c, t in zip(*np.nonzero(stock.stockout), strict=True):
        rows = np.flatnonzero(retailer.category == c)
        part = out[rows, t].astype("float64") * (stock.sold[c, t] / out[rows, t].sum())
        whole = np.floor(part + 1e-9)
        rest = round(float(stock.sold[c, t] - whole.sum()))
        whole[np.argsort(whole - part, kind="stable")[:rest]] += 1
        out[rows, t] = whole
    return out


def _promised(retailer: Retailer, lead: np.ndarray) -> np.ndarray:
    """Promised lead times (categories, days): suppliers change them every quarter."""
    quarters = -(-retailer.length // 91)
    change = retailer.streams.normal("suppliers", len(lead), quarters, 0.12)
    days = np.maximum(np.rint(lead[:, None] * np.exp(change)), 1)
    return np.repeat(days, 91, axis=1)[:, : retailer.length]


def _taken(retailer: Retailer, promised: np.ndarray) -> np.ndarray:
    """What an order of that day really takes: about what was promised, and now and then a week or more late."""
    streams, count, length = retailer.streams, *promised.shape
    about = streams.normal("delays", count, length, 0.18)
    late = streams.daily("late", count, length, lambda r, s: (r.random(s) < 0.12) * r.integers(3, 12, s))
    return np.clip(np.rint(promised * np.exp(about) + late), 1, _LONGEST)


def _usual(retailer: Retailer, begins: np.ndarray) -> np.ndarray:
    """Units a day planned for each category's first weeks."""
    planned = retailer.by_category(retailer.expected)
    return np.array([planned[c, b : b + 28].mean() if b < planned.shape[1] else 0.0 for c, b in enumerate(begins)])
