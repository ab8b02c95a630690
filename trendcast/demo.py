"""A synthetic retailer for tests and first looks: seeded, vectorised, with the effects a forecaster must find.

``generate`` returns frames by table name, ready for ``services.load.load_frames``. The truth behind them (expected
units without noise and stock-outs, promotion lift, lost units) is what ``truth`` returns for the same arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from dateutil.easter import easter as easter_sunday

NAMES = (
    "Electronics", "Clothing", "Home & Garden", "Groceries", "Toys", "Sports", "Beauty", "Books", "Office",
    "Pet Supplies", "Automotive", "Baby", "Bakery", "Beverages", "Dairy", "Frozen Food", "Furniture", "Hardware",
    "Health", "Jewellery", "Kitchen", "Music", "Outdoor", "Shoes",
)  # fmt: skip
REGIONS = ("North", "South", "East", "West")
AHEAD = 120  # days after the last day with a plan and events
WEATHER = np.array(["Clear", "Cloudy", "Rain", "Snow"])

# How the names sell: yearly peak (day of year), strength of the yearly season, rush before Christmas.
_CHARACTER = {"Electronics": (345, 0.25, 0.9), "Clothing": (120, 0.18, 0.5), "Home & Garden": (150, 0.40, 0.1)}
# What an event does to the logarithm of demand on its day.
_HOLIDAYS = {"Black Friday": 0.55, "Easter Sunday": -0.35, "Good Friday": 0.12, "New Year's Day": -0.6}


@dataclass(frozen=True)
class _Retailer:
    """Everything drawn before the frames are cut: arrays of shape (series, days), days = history + AHEAD."""

    category: np.ndarray  # (series,) index of the category
    region: np.ndarray  # (series,) index of the region
    store: np.ndarray  # (series,) number of the store, 0: none
    categories: list[str]
    regions: list[str]
    days: np.ndarray  # datetime64[D]
    history: int
    expected: np.ndarray  # float32 units without noise and stock-outs
    lift: np.ndarray  # float32 factor of the promotion, 1 without
    promotion: np.ndarray  # bool
    open: np.ndarray  # bool (days,)
    units: np.ndarray  # float32, what was sold
    lost: np.ndarray  # float32, demand a stock-out turned away
    stockout: np.ndarray  # bool (categories, days)
    price: np.ndarray  # float32
    weather: np.ndarray  # int8 (regions, days)
    economy: np.ndarray  # (days,)
    rng: np.random.Generator


def generate(
    categories: int = 24,
    regions: int = 4,
    stores: int = 0,
    years: int = 3,
    end: date | None = None,
    seed: int = 7,
) -> dict[str, pd.DataFrame]:
    """Frames of sales_daily, market_factors, inventory_daily, events (past and 120 days ahead) and plan_daily (ahead).

    ``stores`` is the number of stores per region (0: sales by region only); ``end`` the last day of sales (default
    yesterday); 365 days make a year. The same arguments give the same rows.
    """
    retailer = _draw(categories, regions, stores, years, end or date.today() - timedelta(days=1), seed)
    past = slice(0, retailer.history)
    ahead = slice(retailer.history, len(retailer.days))
    sales = _keys(retailer, past)
    count = len(retailer.category)
    units = retailer.units[:, past].ravel().astype("float64")
    sales["sales_units"] = units
    sales["sales_revenue"] = np.round(units * retailer.price[:, past].ravel().astype("float64"), 2)
    sales["promotion_flag"] = retailer.promotion[:, past].ravel()
    sales["weather_condition"] = pd.Categorical.from_codes(
        retailer.weather[retailer.region][:, past].ravel(), categories=pd.Index(WEATHER.tolist())
    )
    sales["open_flag"] = np.tile(retailer.open[past], count)
    sales["unit_price"] = np.round(retailer.price[:, past].ravel().astype("float64"), 2)
    plan = _keys(retailer, ahead)
    plan["promotion_flag"] = retailer.promotion[:, ahead].ravel()
    plan["open_flag"] = np.tile(retailer.open[ahead], count)
    plan["unit_price"] = np.round(retailer.price[:, ahead].ravel().astype("float64"), 2)
    return {
        "sales_daily": sales,
        "market_factors": _market(retailer),
        "inventory_daily": _inventory(retailer),
        "events": _event_frame(retailer.days),
        "plan_daily": plan,
    }


def truth(
    categories: int = 24,
    regions: int = 4,
    stores: int = 0,
    years: int = 3,
    end: date | None = None,
    seed: int = 7,
) -> pd.DataFrame:
    """What ``generate`` hides: per key and day of history expected_units, promotion_lift (a factor) and lost_units."""
    retailer = _draw(categories, regions, stores, years, end or date.today() - timedelta(days=1), seed)
    past = slice(0, retailer.history)
    frame = _keys(retailer, past)
    frame["expected_units"] = retailer.expected[:, past].ravel().astype("float64")
    frame["promotion_lift"] = retailer.lift[:, past].ravel().astype("float64")
    frame["lost_units"] = retailer.lost[:, past].ravel().astype("float64")
    return frame


def _draw(categories: int, regions: int, stores: int, years: int, end: date, seed: int) -> _Retailer:
    rng = np.random.default_rng(seed)
    names = [NAMES[i] if i < len(NAMES) else f"Category {i + 1:03d}" for i in range(categories)]
    places = [REGIONS[i] if i < len(REGIONS) else f"Region {i + 1}" for i in range(regions)]
    history = years * 365
    first = np.datetime64(end, "D") - (history - 1)
    days = first + np.arange(history + AHEAD)
    per_region = max(stores, 1)
    category, region, place = (part.ravel() for part in np.indices((categories, regions, per_region)))
    store = np.where(stores > 0, region * per_region + place + 1, 0)
    count, length = len(category), len(days)

    # Calendar: Monday is 0; the phase of the year in days.
    weekday = (days.astype("int64") + 3) % 7
    year_start = days.astype("datetime64[Y]").astype("datetime64[D]")
    day_of_year = (days - year_start).astype("int64") + 1
    elapsed = np.arange(length) / 365.25

    category_level = np.exp(rng.normal(5.0, 0.6, categories))
    region_share = rng.dirichlet(np.full(regions, 12.0)) * regions
    store_share = np.exp(rng.normal(0, 0.35, count)) / per_region
    growth = rng.normal(0.04, 0.06, categories)
    peak = rng.uniform(0, 365, categories)
    strength = rng.uniform(0.05, 0.3, categories)
    christmas = rng.uniform(0.1, 0.8, categories)
    for index, name in enumerate(names):
        if name in _CHARACTER:
            peak[index], strength[index], christmas[index] = _CHARACTER[name]
    week = np.array([0.92, 0.90, 0.93, 0.98, 1.12, 1.25, 0.90]) * np.exp(rng.normal(0, 0.05, (categories, 7)))
    week /= week.mean(axis=1, keepdims=True)

    log_expected = np.empty((categories, length), dtype="float32")
    bump = strength[:, None] * np.cos(2 * np.pi * (day_of_year[None, :] - peak[:, None]) / 365.25)
    log_expected[:] = np.log(category_level)[:, None] + growth[:, None] * elapsed + bump + np.log(week[:, weekday])
    to_christmas = _days_to(days, 12, 24)
    rush = np.where((to_christmas >= 0) & (to_christmas < 24), 1 - to_christmas / 24, 0.0)
    log_expected += (christmas[:, None] * rush).astype("float32")
    marks = _marks(days)
    for name, effect in _HOLIDAYS.items():
        log_expected += np.where(marks[name], effect, 0.0).astype("float32")
    economy = 100 + np.cumsum(rng.normal(0, 0.08, length)) + 1.5 * np.sin(2 * np.pi * elapsed / 2.2)
    log_expected += (0.01 * (economy - 100)).astype("float32")

    expected = np.exp(log_expected[category] + np.log(region_share[region] * store_share)[:, None].astype("float32"))
    wind = rng.normal(0, 0.03, (count, (length + 27) // 28)).astype("float32")
    expected *= np.exp(np.repeat(np.cumsum(wind, axis=1) * 0.5, 28, axis=1)[:, :length])

    # Promotions run from Monday to Sunday, chain-wide per category, about every seventh week.
    promoted_week = rng.random((categories, length // 7 + 2)) < 0.14
    promotion_by_category = np.repeat(promoted_week, 7, axis=1)[:, weekday[0] : weekday[0] + length]
    promotion = promotion_by_category[category]
    lift_of = np.exp(rng.uniform(0.15, 0.5, categories)).astype("float32")
    lift = np.where(promotion, lift_of[category][:, None], np.float32(1))
    expected *= lift
    is_open = ~marks["Christmas Day"]
    expected *= is_open.astype("float32")
    base_price = np.exp(rng.normal(2.8, 0.7, categories))
    price = (base_price[category][:, None] * (1 + 0.02 * elapsed)[None, :]).astype("float32")
    price *= np.where(promotion, np.float32(0.85), np.float32(1))

    # Negative binomial: variance = mean + mean² / shape.
    shape = 25.0
    mean = expected[:, :history]
    units = rng.poisson(rng.gamma(shape, 1 / shape, mean.shape).astype("float32") * mean).astype("float32")
    stockout = _stockouts(rng, categories, length, history)
    part = rng.uniform(0.0, 0.5, mean.shape).astype("float32")
    served = np.where(stockout[category][:, :history], part, np.float32(1))
    sold = np.floor(units * served)
    lost = units - sold
    all_units = np.zeros((count, length), dtype="float32")
    all_units[:, :history] = sold
    all_lost = np.zeros((count, length), dtype="float32")
    all_lost[:, :history] = lost
    cold = 0.5 + 0.5 * np.cos(2 * np.pi * (day_of_year - 15) / 365.25)
    chance = rng.random((regions, length))
    weather = np.where(chance < 0.12 * cold, 3, np.where(chance < 0.35, 2, np.where(chance < 0.65, 1, 0))).astype(
        "int8"
    )
    return _Retailer(
        category, region, store, names, places, days, history, expected, lift, promotion, is_open, all_units, all_lost,
        stockout, price, weather, economy, rng,
    )  # fmt: skip


def _stockouts(rng: np.random.Generator, categories: int, length: int, history: int) -> np.ndarray:
    """Days without stock by category: about three spells of one to five days a year."""
    starts = rng.random((categories, length)) < 3 / 365
    spell = rng.integers(1, 6, (categories, length))
    out = np.zeros((categories, length), dtype=bool)
    for age in range(5):
        begun = np.zeros_like(out)
        begun[:, age:] = (starts & (spell > age))[:, : length - age]
        out |= begun
    out[:, history:] = False
    return out


def _days_to(days: np.ndarray, month: int, day: int) -> np.ndarray:
    """Days until that day of the same year; negative after it."""
    target = (days.astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)).astype("datetime64[D]") + (day - 1)
    return (target - days).astype("int64")


def _event_days(first_year: int, last_year: int) -> list[tuple[date, str]]:
    found = []
    for year in range(first_year, last_year + 1):
        easter = easter_sunday(year)
        november = date(year, 11, 1)
        thanksgiving = november + timedelta(days=(3 - november.weekday()) % 7 + 21)
        found += [
            (date(year, 1, 1), "New Year's Day"),
            (easter - timedelta(days=2), "Good Friday"),
            (easter, "Easter Sunday"),
            (thanksgiving, "Thanksgiving"),
            (thanksgiving + timedelta(days=1), "Black Friday"),
            (date(year, 12, 24), "Christmas Eve"),
            (date(year, 12, 25), "Christmas Day"),
        ]
    return found


def _event_frame(days: np.ndarray) -> pd.DataFrame:
    first, last = days[0].astype(date), days[-1].astype(date)
    rows = [(day, "", name) for day, name in _event_days(first.year, last.year) if first <= day <= last]
    frame = pd.DataFrame(rows, columns=["date_id", "region", "event"])
    frame["date_id"] = pd.to_datetime(frame["date_id"]).astype("datetime64[us]")
    return frame


def _marks(days: np.ndarray) -> dict[str, np.ndarray]:
    """Per event the mask of its days."""
    marks: dict[str, np.ndarray] = {}
    for day, name in _event_days(days[0].astype(date).year, days[-1].astype(date).year):
        marks.setdefault(name, np.zeros(len(days), dtype=bool))
        marks[name] |= days == np.datetime64(day, "D")
    return marks


def _keys(retailer: _Retailer, part: slice) -> pd.DataFrame:
    days = retailer.days[part].astype("datetime64[us]")
    count, length = len(retailer.category), len(days)
    codes = np.unique(retailer.store)
    labels = ["" if code == 0 else f"S{code:03d}" for code in codes]
    return pd.DataFrame(
        {
            "date_id": np.tile(days, count),
            "product_category": pd.Categorical.from_codes(
                np.repeat(retailer.category, length), categories=pd.Index(retailer.categories)
            ),
            "region": pd.Categorical.from_codes(
                np.repeat(retailer.region, length), categories=pd.Index(retailer.regions)
            ),
            "store": pd.Categorical.from_codes(
                np.repeat(np.searchsorted(codes, retailer.store), length), categories=pd.Index(labels)
            ),
        }
    )


def _market(retailer: _Retailer) -> pd.DataFrame:
    days = retailer.days[: retailer.history]
    marks = _marks(days)
    names = np.full(len(days), None, dtype=object)
    for name, mask in marks.items():
        names[mask] = name
    rng = retailer.rng
    return pd.DataFrame(
        {
            "date_id": days.astype("datetime64[us]"),
            "economic_index": np.round(retailer.economy[: len(days)], 4),
            "competitor_promotion_intensity": np.round(rng.uniform(0, 10, len(days)), 2),
            "seasonal_events": names,
            "social_media_mentions": rng.poisson(400, len(days)),
        }
    )


def _inventory(retailer: _Retailer) -> pd.DataFrame:
    """Stock by category: three weeks of sales when refilled, then sold down; 0 on days without stock."""
    length, count = retailer.history, len(retailer.categories)
    sold = np.zeros((count, length))
    np.add.at(sold, retailer.category, retailer.units[:, :length])
    daily = sold.mean(axis=1)
    lead = retailer.rng.integers(3, 15, count)
    reorder = np.ceil(daily * lead * 1.3)
    cycle = np.cumsum(sold, axis=1) % np.maximum(daily[:, None] * 21, 1)
    stock = np.where(retailer.stockout[:, :length], 0, np.ceil(daily[:, None] * 24 - cycle))
    days = retailer.days[:length].astype("datetime64[us]")
    return pd.DataFrame(
        {
            "date_id": np.tile(days, count),
            "product_category": pd.Categorical.from_codes(
                np.repeat(np.arange(count), length), categories=pd.Index(retailer.categories)
            ),
            "stock_level": stock.ravel(),
            "reorder_point": np.repeat(reorder, length),
            "lead_time_days": np.repeat(lead, length),
            "stockout_flag": retailer.stockout[:, :length].ravel(),
        }
    )
