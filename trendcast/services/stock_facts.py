"""What the retailer's tables say of stock, as of a day: levels, purchase orders and item parameters, per category."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from trendcast import wording
from trendcast.inventory import receipts
from trendcast.inventory.inputs import Parameters
from trendcast.inventory.recommend import DEFAULT_LEAD_DAYS

if TYPE_CHECKING:
    import pyarrow as pa

    from trendcast.store.engine import Database

YEAR = 364
STALE_DAYS = 14  # older stock says nothing about now
ORDERS_NEEDED = 5  # deliveries whose time from order to arrival is better evidence than a stated lead time
NEW_DAYS, NEW_ORDERS = 28, 3  # what counts as the lead time now
FORGOTTEN_DAYS = 60  # an order so long overdue will not come
NOTABLE_DAYS, NOTABLE_SHARE = 2.0, 0.2  # a change of the lead time smaller than both is not told


@dataclass(frozen=True)
class Levels:
    """Recorded stock of one category, oldest first: arrays of one length, NaN where not recorded."""

    day: np.ndarray  # datetime64[D]
    level: np.ndarray
    reorder_point: np.ndarray
    lead_time: np.ndarray


@dataclass(frozen=True)
class Orders:
    """Purchase orders of one category; NaT for days not known, `received` of what is still outstanding."""

    quantity: np.ndarray
    ordered: np.ndarray  # datetime64[D]
    due: np.ndarray
    received: np.ndarray
    got: np.ndarray  # NaN where not said


@dataclass(frozen=True)
class Facts:
    """By category; a category without any is not there."""

    levels: dict[str, Levels]
    orders: dict[str, Orders]
    parameters: dict[str, Parameters]


def read(db: Database, last_day: date) -> Facts:
    """What was known at the end of ``last_day``: nothing that was recorded or delivered later."""
    with db.read() as connection:
        stock = db.copy_out("stock_levels", connection=connection, last_day=last_day)
        orders = db.copy_out("stock_orders", connection=connection, last_day=last_day)
        items = db.rows("stock_items", connection=connection)
    day, level, point, lead = (
        _column(stock, name) for name in ("date_id", "stock_level", "reorder_point", "lead_time_days")
    )
    quantity, got = _column(orders, "quantity"), _column(orders, "received_quantity")
    ordered, due, received = (_column(orders, name) for name in ("ordered_on", "due_on", "received_on"))
    return Facts(
        {name: Levels(day[s], level[s], point[s], lead[s]) for name, s in _slices(stock)},
        {name: Orders(quantity[s], ordered[s], due[s], received[s], got[s]) for name, s in _slices(orders)},
        {row["product_category"]: _parameters(row) for row in items},
    )


def _column(table: pa.Table, name: str) -> np.ndarray:
    values = table.column(name).to_numpy()
    return values.astype("datetime64[D]" if values.dtype.kind in "MO" else np.float64)


def _slices(table: pa.Table) -> list[tuple[str, slice]]:
    """Rows of each category of a table sorted by category."""
    names = np.asarray(table.column("product_category").to_pylist(), object)
    if not len(names):
        return []
    edges = np.flatnonzero(np.r_[True, names[1:] != names[:-1], True])
    return [(str(names[start]), slice(start, stop)) for start, stop in pairwise(edges.tolist())]


def _parameters(item: Any) -> Parameters:
    life = item["shelf_life_days"]
    given = {
        name: item[name]
        for name in ("target_service", "unit_cost", "holding_rate", "order_cost", "moq", "order_multiple", "max_stock")
    }
    return Parameters(**given, shelf_life_days=None if life is None else int(life))


# --- lead time ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lead:
    """Days from order to arrival of the last year, one per order or per day; ``source``: orders, stated or ''."""

    days: np.ndarray = field(default_factory=lambda: np.zeros(0))
    source: str = ""
    now: float = np.nan
    before: float = np.nan

    @property
    def usual(self) -> float:
        return float(np.median(self.days)) if len(self.days) else float(DEFAULT_LEAD_DAYS)

    def driver(self) -> list[str]:
        """That it changed, in words; nothing when it did not."""
        if not abs(self.now - self.before) >= max(NOTABLE_DAYS, NOTABLE_SHARE * self.before):
            return []
        if self.source == "orders":
            return [f"the last orders took {wording.fixed(self.now)} days (before: {wording.fixed(self.before)})"]
        return [f"the stated lead time is now {wording.fixed(self.now)} days (was {wording.fixed(self.before)})"]


def lead_time(levels: Levels | None, orders: Orders | None, last_day: date) -> Lead:
    """Of received orders when there are enough, else as stated day by day: true lead times cannot be inferred from
    stock, which shows arrivals but not when they were ordered."""
    last = np.datetime64(last_day, "D")
    if orders is not None:
        done = ~np.isnat(orders.received) & ~np.isnat(orders.ordered)
        order = np.argsort(orders.received[done], kind="stable")
        arrived = orders.received[done][order]
        took = (arrived - orders.ordered[done][order]).astype(float)
        days = took[(arrived > last - YEAR) & (took >= 0)]
        if len(days) >= ORDERS_NEEDED:
            return Lead(days, "orders", _median(days[-NEW_ORDERS:]), _median(days[:-NEW_ORDERS]))
    if levels is not None:
        recent = (levels.day > last - YEAR) & np.isfinite(levels.lead_time)
        if recent.any():
            new = recent & (levels.day > last - NEW_DAYS)
            said = levels.lead_time
            return Lead(said[recent], "stated", _median(said[new]), _median(said[recent & ~new]))
    return Lead()


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else np.nan


# --- stock now ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stock:
    """Stock of one category at the end of a day. ``on_hand`` None: not known (never, or too long ago)."""

    on_hand: float | None = None
    counted: date | None = None  # when it was recorded last
    receipts: np.ndarray = field(default_factory=lambda: np.zeros(0))  # on order, by days ahead
    reorder_point: float = np.nan  # the retailer's own
    lot: float = np.nan  # a usual delivery
    residual: float = np.nan  # what vanished, over units sold


def stock_now(
    levels: Levels | None, orders: Orders | None, sold: np.ndarray, last_day: date, lead: Lead, horizon: int
) -> Stock:
    """The stock at the end of ``last_day``, on which ``sold`` (history,) ends: the last record, carried forward by what
    was sold and what arrived since, when it is no older than STALE_DAYS."""
    if levels is None or not np.isfinite(levels.level).any():
        return Stock()
    last = np.datetime64(last_day, "D")
    at = len(sold) - 1 - (last - levels.day).astype(int)
    inside = at >= 0
    series = np.full(len(sold), np.nan)
    series[at[inside]] = levels.level[inside]
    year = slice(max(len(sold) - YEAR - 1, 0), len(sold))
    inferred = receipts.infer(series[year], sold[year])
    newest = int(np.flatnonzero(np.isfinite(levels.level))[-1])
    counted: np.datetime64 = levels.day[newest]
    points = levels.reorder_point[np.isfinite(levels.reorder_point)]
    lot, arrived_since, coming = inferred.lot, 0.0, np.zeros(horizon)
    if orders is not None:
        coming = _outstanding(orders, last, lead.usual, horizon)
        arrived = ~np.isnat(orders.received)
        when = orders.received[arrived]
        units = np.where(np.isfinite(orders.got), orders.got, orders.quantity)[arrived]
        arrived_since = float(units[when > counted].sum())
        recent = units[(when > last - YEAR) & (units > 0)]
        if len(recent) >= NEW_ORDERS:
            lot = float(np.median(recent))
    on_hand, age = None, int((last - counted).astype(int))
    if age <= STALE_DAYS:
        since = sold[len(sold) - age :] if age else np.zeros(0)
        on_hand = receipts.roll_forward(max(float(levels.level[newest]), 0.0), since, arrived_since)
    return Stock(
        on_hand=on_hand,
        counted=counted.astype(date),
        receipts=coming,
        reorder_point=float(points[-1]) if len(points) else np.nan,
        lot=lot,
        residual=inferred.residual,
    )


def _outstanding(orders: Orders, last: np.datetime64, lead_days: float, horizon: int) -> np.ndarray:
    """Units not received yet (horizon,) by the day they are due, 0 being the day after ``last``: what is overdue is
    expected a day later, what is due beyond the horizon on its last day."""
    units = orders.quantity - np.nan_to_num(orders.got)
    due = np.where(np.isnat(orders.due), orders.ordered + np.timedelta64(round(lead_days), "D"), orders.due)
    known = np.isnat(orders.received) & (units > 0) & ~np.isnat(due)
    ahead = (due[known] - last).astype(int) - 1
    kept = ahead >= -FORGOTTEN_DAYS
    when = np.minimum(np.where(ahead >= 0, ahead, 1), horizon - 1)
    return np.bincount(when[kept], units[known][kept], minlength=horizon).astype(float)
