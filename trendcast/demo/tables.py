"""The demo retailer as frames by table name, as its systems would deliver them on the evening of a day."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trendcast.demo import almanac, story
from trendcast.demo.demand import AHEAD, WEATHER, Retailer
from trendcast.demo.stock import Stock

CALENDAR_AHEAD = 400  # days after the last day whose events are known


def tables(retailer: Retailer, stock: Stock, units: np.ndarray, since: int, until: int) -> dict[str, pd.DataFrame]:
    """What the days ``since`` to ``until`` (excluded; numbers from the first day) add to every table; with ``since`` 0
    everything there is at that time. ``units``: what was sold (series, history)."""
    return {
        "stores": _stores(retailer, since),
        "market_factors": _market(retailer, since, until),
        "inventory_daily": _inventory(retailer, stock, since, until),
        "events": _events(retailer, since, until),
        "plan_daily": _plan(retailer, since, until),
        "item_params": _items(retailer, since),
        "purchase_orders": _orders(retailer, stock, since, until),
        "sales_daily": _sales(retailer, units, since, until),
    }


def alive(retailer: Retailer, since: int, until: int) -> np.ndarray:
    """bool (series, days): the series has rows."""
    day = np.arange(since, until)
    return (day >= retailer.begins[:, None]) & (day < retailer.ends[:, None])


def keys(retailer: Retailer, kept: np.ndarray, since: int, chosen: np.ndarray | None = None) -> pd.DataFrame:
    """date_id, product_category, region, store of the True cells of ``kept`` (series, days from ``since``); ``chosen``:
    which series its rows are, by default all."""
    series, day = np.nonzero(kept)
    series = series if chosen is None else chosen[series]
    codes = np.unique(retailer.store)
    labels = ["" if code == 0 else f"S{code:03d}" for code in codes]
    return pd.DataFrame(
        {
            "date_id": (retailer.first + since + day).astype("datetime64[us]"),
            "product_category": _named(retailer.category[series], retailer.categories),
            "region": _named(retailer.region[series], retailer.regions),
            "store": _named(np.searchsorted(codes, retailer.store)[series], labels),
        }
    )


def label_frame(retailer: Retailer) -> pd.DataFrame:
    """The labelled anomalies of the history: kind, first_day, last_day, product_category, region, store, size."""
    rows = [
        (
            label.kind,
            (retailer.first + label.first).astype("datetime64[us]"),
            (retailer.first + label.last).astype("datetime64[us]"),
            "" if label.category == story.EVERYWHERE else retailer.categories[label.category],
            "" if label.region == story.EVERYWHERE else retailer.regions[label.region],
            "",
            label.size,
        )
        for label in retailer.labels
        if label.first < retailer.history and _seen(retailer, label)
    ]
    columns = ["kind", "first_day", "last_day", "product_category", "region", "store", "size"]
    return pd.DataFrame(rows, columns=columns)


def _seen(retailer: Retailer, label: story.Label) -> bool:
    """Whether anything was for sale to be anomalous."""
    rows = story.rows(label, retailer.category, retailer.region)
    return bool((retailer.expected[rows, label.first : label.last + 1] > 0).any())


def _named(codes: np.ndarray, names: list[str]) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, categories=pd.Index(names))


def _feed(retailer: Retailer, kind: str, since: int, until: int) -> np.ndarray:
    """bool (series, days): cells that the feed got wrong in this way."""
    hit = np.zeros((len(retailer.category), until - since), dtype=bool)
    for label in retailer.labels:
        if label.kind == kind and since <= label.first < until:
            hit[story.rows(label, retailer.category, retailer.region), label.first - since] = True
    return hit


def _sales(retailer: Retailer, units: np.ndarray, since: int, until: int) -> pd.DataFrame:
    part = slice(since, until)
    kept = alive(retailer, since, until) & ~_feed(retailer, story.MISSING, since, until)
    sales = keys(retailer, kept, since)
    recorded = units[:, part] * np.where(_feed(retailer, story.DOUBLED, since, until), np.float32(2), np.float32(1))
    price = np.round(retailer.price[:, part][kept].astype("float64"), 2)
    sales["sales_units"] = recorded[kept].astype("float64")
    sales["sales_revenue"] = np.round(sales["sales_units"].to_numpy() * price, 2)
    sales["promotion_flag"] = retailer.promotion[:, part][kept]
    sales["weather_condition"] = _named(retailer.weather[:, part][retailer.region][kept], WEATHER.tolist())
    sales["open_flag"] = np.broadcast_to(retailer.open[part], kept.shape)[kept]
    sales["unit_price"] = price
    return sales


def _plan(retailer: Retailer, since: int, until: int) -> pd.DataFrame:
    """Days that come into view of the plan, which reaches AHEAD days."""
    start, stop = (since + AHEAD if since else until), until + AHEAD
    part, kept = slice(start, stop), alive(retailer, start, stop)
    plan = keys(retailer, kept, start)
    plan["promotion_flag"] = retailer.promotion[:, part][kept]
    plan["open_flag"] = np.broadcast_to(retailer.open[part], kept.shape)[kept]
    plan["unit_price"] = np.round(retailer.price[:, part][kept].astype("float64"), 2)
    return plan


def _events(retailer: Retailer, since: int, until: int) -> pd.DataFrame:
    start = since + CALENDAR_AHEAD if since else 0
    return almanac.listed(retailer.first + np.arange(start, until + CALENDAR_AHEAD), retailer.festival)


def _market(retailer: Retailer, since: int, until: int) -> pd.DataFrame:
    part = slice(since, until)
    days = retailer.days[part]
    named = np.full(len(days), None, dtype=object)
    for name in almanac.EFFECTS:
        if name != almanac.REGIONAL:
            named[almanac.marks(days, name)] = name
    return pd.DataFrame(
        {
            "date_id": days.astype("datetime64[us]"),
            "economic_index": np.round(retailer.economy[part].astype("float64"), 4),
            "competitor_promotion_intensity": np.round(retailer.competitors[part].astype("float64"), 2),
            "seasonal_events": named,
            "social_media_mentions": retailer.mentions[part].astype("int64"),
        }
    )


def _inventory(retailer: Retailer, stock: Stock, since: int, until: int) -> pd.DataFrame:
    series = alive(retailer, since, until)
    kept = np.zeros((len(retailer.categories), until - since), dtype=bool)
    np.logical_or.at(kept, retailer.category, series)
    category, day = np.nonzero(kept)
    part = slice(since, until)
    return pd.DataFrame(
        {
            "date_id": (retailer.first + since + day).astype("datetime64[us]"),
            "product_category": _named(category, retailer.categories),
            "stock_level": stock.level[:, part][kept],
            "reorder_point": stock.reorder_point[:, part][kept],
            "lead_time_days": stock.promised[:, part][kept].astype("int64"),
            "stockout_flag": stock.stockout[:, part][kept],
        }
    )


def _orders(retailer: Retailer, stock: Stock, since: int, until: int) -> pd.DataFrame:
    """Orders that went out or came in on these days, as they are known at their end."""
    arrived = stock.order_arrival < until
    fresh = (stock.order_day < until) & ((stock.order_day >= since) | (arrived & (stock.order_arrival >= since)))
    day = (retailer.first + stock.order_day[fresh]).astype("datetime64[us]")
    due = (retailer.first + stock.order_due[fresh]).astype("datetime64[us]")
    came = (retailer.first + stock.order_arrival[fresh]).astype("datetime64[us]")
    numbers = zip(day.astype("datetime64[D]").astype(str), stock.order_category[fresh], strict=True)
    return pd.DataFrame(
        {
            "po_id": [f"PO-{d.replace('-', '')}-{c + 1:03d}" for d, c in numbers],
            "product_category": _named(stock.order_category[fresh], retailer.categories),
            "quantity": stock.order_quantity[fresh].astype("float64"),
            "ordered_on": day,
            "due_on": due,
            "received_on": np.where(arrived[fresh], came, np.datetime64("NaT", "us")),
            "received_quantity": np.where(arrived[fresh], stock.order_received[fresh], np.nan),
        }
    )


def _items(retailer: Retailer, since: int) -> pd.DataFrame:
    """Cost and rules of each category; some were never entered."""
    rng, count = retailer.streams.once("items"), len(retailer.categories)
    price = np.array([retailer.price[retailer.category == c, 0].mean() for c in range(count)], dtype="float64")
    margin = rng.uniform(0.28, 0.48, count)
    multiple = rng.choice([6.0, 12.0, 24.0], count)
    fresh = np.isin(retailer.categories, ("Bakery", "Dairy", "Groceries"))
    life = np.where(fresh, np.where(np.array(retailer.categories) == "Bakery", 14.0, 45.0), np.nan)
    frame = pd.DataFrame(
        {
            "product_category": retailer.categories,
            "unit_cost": np.round(price * (1 - margin), 2),
            "holding_rate": np.round(rng.uniform(0.18, 0.3, count), 2),
            "order_cost": np.round(rng.uniform(60, 240, count)),
            "moq": multiple * rng.integers(2, 9, count),
            "order_multiple": multiple,
            "shelf_life_days": life,
            "target_service": rng.choice([0.92, 0.95, 0.97, 0.98], count),
        }
    )
    unknown = np.arange(count) % 6 == 5
    frame.loc[unknown, ["unit_cost", "moq", "order_multiple", "target_service"]] = np.nan
    return frame.iloc[:0] if since else frame


def _stores(retailer: Retailer, since: int) -> pd.DataFrame:
    numbers, first = np.unique(retailer.store, return_index=True)
    first = first[numbers > 0]
    rng, count = retailer.streams.once("stores"), len(first)
    frame = pd.DataFrame(
        {
            "store": [f"S{n:03d}" for n in retailer.store[first]],
            "region": [retailer.regions[r] for r in retailer.region[first]],
            "opened_on": (retailer.first - rng.integers(200, 6000, count)).astype("datetime64[us]"),
            "latitude": np.round(rng.uniform(33, 47, count), 4),
            "longitude": np.round(rng.uniform(-118, -75, count), 4),
        }
    )
    return frame.iloc[:0] if since else frame
