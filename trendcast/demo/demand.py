"""What customers of the demo retailer want, day by day, before any shelf is empty.

Demand is the exponential of a sum (level, trend, seasons, holidays, promotions, prices, weather, economy, social
mentions) with negative-binomial noise, heavy tails and shocks that a region or the nation shares. None of it is what a
forecasting member assumes: levels break, weekly patterns drift, promotions are followed by dips and lose their force.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from trendcast.demo import almanac, story
from trendcast.demo.story import Label
from trendcast.demo.streams import BLOCK, Streams, remembered

NAMES = (
    "Electronics", "Clothing", "Home & Garden", "Groceries", "Toys", "Sports", "Beauty", "Books", "Office",
    "Pet Supplies", "Automotive", "Baby", "Bakery", "Beverages", "Dairy", "Frozen Food", "Furniture", "Hardware",
    "Health", "Jewellery", "Kitchen", "Music", "Outdoor", "Shoes",
)  # fmt: skip
REGIONS = ("North", "South", "East", "West")
AHEAD = 120  # days after the last day with a plan and events
WEATHER = np.array(["Clear", "Cloudy", "Rain", "Snow"])
MENTIONS_LEAD = 4  # days by which social mentions run ahead of demand

# Yearly peak (day of year), strength of the yearly season, rush before Christmas, units a day and region, price.
_CHARACTER = {
    "Electronics": (345, 0.20, 0.8, 60.0, 149.0),
    "Clothing": (120, 0.16, 0.45, 170.0, 39.0),
    "Home & Garden": (150, 0.38, 0.1, 110.0, 29.0),
    "Groceries": (350, 0.05, 0.15, 420.0, 6.5),
    "Toys": (340, 0.15, 1.1, 90.0, 24.0),
    "Bakery": (20, 0.04, 0.1, 300.0, 3.2),
    "Dairy": (180, 0.04, 0.05, 330.0, 2.9),
}
_BUZZING = ("Electronics", "Clothing", "Toys", "Beauty", "Music", "Shoes")
_WARM = ("Home & Garden", "Beverages", "Outdoor", "Frozen Food", "Sports")
_NEVER = 10**6  # the end of a series that never ends


@dataclass(frozen=True)
class Retailer:
    """Everything drawn before frames are cut: arrays of shape (series, days); days = history + AHEAD and up to
    four weeks more."""

    first: np.datetime64
    history: int  # days sold until now
    nominal: int  # days of the history the story ends with
    categories: list[str]
    regions: list[str]
    category: np.ndarray  # (series,) index of the category
    region: np.ndarray  # (series,) index of the region
    store: np.ndarray  # (series,) number of the store, 0: none
    begins: np.ndarray  # (series,) day of the first row
    ends: np.ndarray  # (series,) day after the last row
    expected: np.ndarray  # float32 units, without noise, anomalies and stock-outs
    lift: np.ndarray  # float32 factor of the promotion, 1 without
    demand: np.ndarray  # float32 whole units, with everything but stock-outs
    promotion: np.ndarray  # bool
    price: np.ndarray  # float32, as paid
    open: np.ndarray  # bool (days,)
    weather: np.ndarray  # int8 (regions, days)
    economy: np.ndarray  # (days,)
    competitors: np.ndarray  # (days,)
    mentions: np.ndarray  # (days,)
    labels: list[Label]
    streams: Streams

    @property
    def length(self) -> int:
        return self.demand.shape[1]

    @property
    def days(self) -> np.ndarray:
        return self.first + np.arange(self.length)

    @property
    def festival(self) -> str:
        """The region of the regional event."""
        return self.regions[min(1, len(self.regions) - 1)]

    def by_category(self, values: np.ndarray) -> np.ndarray:
        """Sums over the series of each category (categories, days)."""
        out = np.zeros((len(self.categories), values.shape[1]), dtype="float64")
        np.add.at(out, self.category, values)
        return out


def draw(
    categories: int, regions: int, stores: int, years: int, end: date | None, seed: int, first: date | None
) -> Retailer:
    """The retailer up to ``end``. The first day is ``first``, by default 365 * ``years`` days up to ``end``."""
    end = end or date.today() - timedelta(days=1)
    nominal = 365 * years
    begin = np.datetime64(first, "D") if first else np.datetime64(end, "D") - (nominal - 1)
    history = int((np.datetime64(end, "D") - begin).astype(int)) + 1
    if history < 1:
        raise ValueError("The last day lies before the first.")
    length = -(-(history + AHEAD) // BLOCK) * BLOCK  # whole blocks: a later end must not change how one is drawn
    streams = Streams(seed)
    names = [NAMES[i] if i < len(NAMES) else f"Category {i + 1:03d}" for i in range(categories)]
    places = [REGIONS[i] if i < len(REGIONS) else f"Region {i + 1}" for i in range(regions)]
    per_region = max(stores, 1)
    category, region, place = (part.ravel() for part in np.indices((categories, regions, per_region)))
    store = np.where(stores > 0, region * per_region + place + 1, 0)
    days = begin + np.arange(length)
    labels = story.tell(streams, categories, regions, nominal, length)
    is_open = ~almanac.marks(days, almanac.CLOSED)

    base, price_list = _levels(streams, names, places, category, region, per_region, length)
    log_expected = _of_category(streams, names, days)[category] + base
    log_expected += _weeks(streams, categories, regions, days)[category * regions + region]
    economy, competitors, mentions, outer = _outside(streams, names, length)
    log_expected += outer[category]
    weather, effect = _weather(streams, names, regions, days)
    log_expected += effect[category * regions + region]
    festival = almanac.shapes(days)[almanac.REGIONAL]
    log_expected += np.where(region == min(1, regions - 1), 1.0, 0.0).astype("float32")[:, None] * festival
    promotion, log_lift, discount, dip = _promotions(streams, names, regions, days)
    chain = category * regions + region
    log_expected += log_lift[chain] + dip[chain]
    price = (price_list * (1 - discount[chain])).astype("float32")
    for label in labels:
        if label.kind == story.SHIFT:
            log_expected[story.rows(label, category, region), label.first :] += np.float32(np.log1p(label.size))
    begins, ends = _lives(streams, categories, regions, category, region, nominal)
    log_expected += _ramp(begins, ends, length)
    np.clip(log_expected, None, 14.0, out=log_expected)
    expected = np.exp(log_expected) * is_open
    alive = (np.arange(length) >= begins[:, None]) & (np.arange(length) < ends[:, None])
    expected *= alive

    demand = _noise(streams, expected, category, region, categories, regions, labels)
    lift = np.exp(log_lift[chain])
    return Retailer(
        begin, history, nominal, names, places, category, region, store, begins, ends, expected, lift, demand,
        promotion[chain], price, is_open, weather, economy, competitors, mentions, labels, streams,
    )  # fmt: skip


def _levels(
    streams: Streams,
    names: list[str],
    places: list[str],
    category: np.ndarray,
    region: np.ndarray,
    per_region: int,
    length: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Logarithm of the series' own level with its slow wandering and its price's effect (series, days), and the list
    price (series, days)."""
    rng, count = streams.once("levels"), len(category)
    level = rng.normal(5.0, 0.5, len(names))
    price = np.exp(rng.normal(2.8, 0.6, len(names)))
    for index, name in enumerate(names):
        if name in _CHARACTER:
            level[index], price[index] = np.log(_CHARACTER[name][3]), _CHARACTER[name][4]
    share = rng.normal(0, 0.25, len(places))
    mixed = rng.normal(0, 0.12, (len(names), len(places)))
    own = rng.normal(0, 0.35, count) - np.log(per_region) if per_region > 1 else np.zeros(count)
    months = -(-length // 28)
    wind = streams.wandering("wind", count, months, 0.012, 1.0)
    base = (level[category] + (share - share.mean())[region] + mixed[category, region] + own)[:, None]
    # Price lists are renewed every quarter; what customers mind is a price above its general rise.
    quarters = -(-length // 91)
    steps = np.cumsum(streams.normal("prices", len(names), quarters, 0.025), axis=1)
    elasticity = rng.uniform(-1.6, -0.6, len(names))
    real = np.repeat(steps, 91, axis=1)[:, :length]
    rise = 0.005 * (np.arange(length) // 91)
    dearer = np.exp(rng.normal(0, 0.02, len(places)))
    prices = np.round((price[:, None] * np.exp(real + rise)), 2)[category] * dearer[region][:, None]
    log_base = base + np.repeat(wind, 28, axis=1)[:, :length] + (elasticity[:, None] * real)[category]
    return log_base.astype("float32"), prices.astype("float32")


def _of_category(streams: Streams, names: list[str], days: np.ndarray) -> np.ndarray:
    """Trend with breaks, yearly season, Christmas and the events everywhere (categories, days)."""
    rng, count, length = streams.once("seasons"), len(names), len(days)
    growth = rng.normal(0.04, 0.05, count)
    peak, strength = rng.uniform(0, 365, count), rng.uniform(0.05, 0.25, count)
    second, christmas = rng.uniform(-0.06, 0.06, count), rng.uniform(0.05, 0.5, count)
    reach = rng.uniform(0.5, 1.4, (count, len(almanac.EFFECTS)))
    for index, name in enumerate(names):
        if name in _CHARACTER:
            peak[index], strength[index], christmas[index] = _CHARACTER[name][:3]
    # The trend's slope changes about every 500 days.
    bends = streams.daily("bends", count, length, lambda r, s: (r.random(s) < 1 / 500) * r.normal(0, 0.12, s))
    slope = growth[:, None] + np.cumsum(bends, axis=1)
    trend = np.cumsum(np.clip(slope, -0.2, 0.25) / 365.25, axis=1)
    day_of_year = (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1
    phase = 2 * np.pi * (day_of_year[None, :] - peak[:, None]) / 365.25
    season = strength[:, None] * np.cos(phase) + second[:, None] * np.sin(2 * phase)
    to_christmas = almanac.days_to(days, 12, 24)
    rush = np.where((to_christmas >= 0) & (to_christmas < 28), np.clip(1 - to_christmas / 28, 0, 1) ** 1.3, 0.0)
    total = trend + season + christmas[:, None] * rush
    for n, (name, shape) in enumerate(almanac.shapes(days).items()):
        if name != almanac.REGIONAL:
            total += reach[:, n : n + 1] * shape
    return total.astype("float32")


def _weeks(streams: Streams, categories: int, regions: int, days: np.ndarray) -> np.ndarray:
    """The weekly season of each category and region, drifting slowly (categories * regions, days)."""
    rng, count = streams.once("weeks"), categories * regions
    usual = np.log(np.array([0.92, 0.90, 0.93, 0.98, 1.12, 1.25, 0.90]))
    own = usual + np.repeat(rng.normal(0, 0.05, (categories, 7)), regions, axis=0) + rng.normal(0, 0.02, (count, 7))
    later = rng.normal(0, 0.03, (count, 7))
    weekday = (days.astype("datetime64[D]").astype(int) + 3) % 7
    years = (np.arange(len(days)) / 365.25).astype("float32")
    own = (own - own.mean(axis=1, keepdims=True)).astype("float32")
    later = (later - later.mean(axis=1, keepdims=True)).astype("float32")
    return own[:, weekday] + later[:, weekday] * years


def _outside(streams: Streams, names: list[str], length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The economic index, competitors' promotions, social mentions (days,), and their effect (categories, days)."""
    rng, count = streams.once("outside"), len(names)
    cycle = 1.5 * np.sin(2 * np.pi * np.arange(length) / 800.0)
    economy = 100 + cycle + np.cumsum(streams.normal("economy", 1, length, 0.08)[0])
    weeks = -(-length // 7)
    rivals = streams.daily("rivals", 1, weeks, lambda r, s: r.gamma(2.0, 1.6, s))[0]
    competitors = np.clip(np.repeat(rivals, 7)[:length], 0, 10)
    sparks = streams.daily("buzz", 1, length, lambda r, s: (r.random(s) < 1 / 35) * r.exponential(0.7, s))
    buzz = np.clip(remembered(sparks, 0.75)[0], 0, 2.5)
    mentions = streams.daily("talk", 1, length, lambda r, s: r.gamma(120.0, 400 / 120.0, s))[0] * np.exp(buzz)
    felt = np.concatenate([np.zeros(MENTIONS_LEAD), buzz])[:length]
    buzzing = np.where(np.isin(names, _BUZZING), rng.uniform(0.10, 0.2, count), rng.uniform(0, 0.02, count))
    effect = (
        rng.uniform(0.002, 0.015, count)[:, None] * (economy - 100)
        - rng.uniform(0.003, 0.012, count)[:, None] * (competitors - 3.2)
        + buzzing[:, None] * felt
    )
    return economy, competitors, np.round(mentions), effect.astype("float32")


def _weather(streams: Streams, names: list[str], regions: int, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kind of weather (regions, days) and its effect (categories * regions, days)."""
    rng, count, length = streams.once("weather"), len(names), len(days)
    day_of_year = (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(int)
    unusual = streams.wandering("heat", regions, length, 2.2, 0.8)  # degrees above what the day of year has
    degrees = 11 - 10 * np.cos(2 * np.pi * (day_of_year - 20) / 365.25) + unusual
    cloud = streams.wandering("cloud", regions, length, 0.8, 0.6)
    kind = np.where(cloud > 0.9, np.where(degrees < 1.5, 3, 2), np.where(cloud > 0.1, 1, 0)).astype("int8")
    warm = np.where(np.isin(names, _WARM), 0.016, 0.0) + rng.normal(0, 0.003, count)
    rain, snow = rng.uniform(-0.06, 0.01, count), rng.uniform(-0.12, -0.02, count)
    effect = (
        warm[:, None, None] * unusual[None]
        + rain[:, None, None] * (kind == 2)[None]
        + snow[:, None, None] * (kind == 3)[None]
    )
    return kind, effect.reshape(count * regions, length).astype("float32")


def _promotions(
    streams: Streams, names: list[str], regions: int, days: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Arrays (categories * regions, days): under promotion, logarithm of the lift, discount, and the dip afterwards.

    Promotions run from Monday to Sunday, mostly chain-wide, about every seventh week, nearly always around Black
    Friday. Their lift grows with the discount, is strongest in the first days and drifts over the years.
    """
    rng, count, length = streams.once("promotions"), len(names), len(days)
    weekday = (days.astype("datetime64[D]").astype(int) + 3) % 7
    week = (np.arange(length) + weekday[0]) // 7
    weeks = int(week[-1]) + 1
    chance = streams.daily("promoted", count, weeks, lambda r, s: r.random(s))
    black = np.unique(week[almanac.marks(days, "Black Friday")])
    odds = np.full(weeks, 0.14)
    odds[black] = 0.85
    wanted = chance < odds
    # Never two weeks in a row: the later one gives way.
    for w in range(1, weeks):
        wanted[:, w] &= ~wanted[:, w - 1]
    some = streams.daily("where", count * regions, weeks, lambda r, s: r.random(s))
    partly = streams.daily("partly", count, weeks, lambda r, s: r.random(s)) < 0.15
    here = np.repeat(wanted, regions, axis=0) & (~np.repeat(partly, regions, axis=0) | (some < 0.5))
    steps, odds_of = [0.10, 0.15, 0.20, 0.25], [0.3, 0.4, 0.2, 0.1]
    depth = streams.daily("depth", count, weeks, lambda r, s: r.choice(steps, s, p=odds_of))
    slope, display = rng.uniform(0.9, 1.6, count), rng.uniform(0.10, 0.28, count)
    drift = 1 + np.clip(streams.wandering("wear", count, weeks, 0.02, 0.995), -0.3, 0.3)
    strength = (slope[:, None] * depth + display[:, None]) * drift
    shape = np.array([1.10, 1.05, 1.0, 0.95, 1.0, 1.03, 0.87])
    by_week = np.where(here, np.repeat(strength, regions, axis=0), 0.0)
    log_lift = by_week[:, week] * shape[weekday]
    # Who bought on promotion does not buy the week after.
    before = np.concatenate([np.zeros((len(here), 1)), by_week[:, :-1]], axis=1)
    dip = -0.3 * before[:, week] * np.exp(-weekday / 3.0) * ~here[:, week]
    discount = np.where(here, np.repeat(depth, regions, axis=0), 0.0)[:, week]
    return here[:, week], log_lift.astype("float32"), discount.astype("float32"), dip.astype("float32")


def _lives(
    streams: Streams, categories: int, regions: int, category: np.ndarray, region: np.ndarray, nominal: int
) -> tuple[np.ndarray, np.ndarray]:
    """First day and day after the last, of each series. The first eight categories live throughout; of the others
    every sixth is launched later, every eleventh leaves one region, and the last but one is given up for good."""
    rng = streams.once("lives")
    begins, ends = np.zeros(len(category), int), np.full(len(category), _NEVER)
    launched = rng.uniform(0.25, 0.75, categories)
    left = rng.uniform(0.5, 0.8, categories)
    for index in range(8, categories):
        whole = category == index
        if index % 6 == 3:
            begins[whole] = int(launched[index] * nominal)
        elif index % 11 == 10 and regions > 1:
            ends[whole & (region == index % regions)] = int(left[index] * nominal)
    if categories >= 12:
        ends[category == categories - 2] = int(0.82 * nominal)
        begins[category == categories - 2] = 0
    return begins, ends


def _ramp(begins: np.ndarray, ends: np.ndarray, length: int) -> np.ndarray:
    """Logarithm of how far a launch has come, and what is left before the end (series, days)."""
    age = np.arange(length) - begins[:, None]
    left = ends[:, None] - np.arange(length)
    growing = np.where(begins[:, None] > 0, np.log(1 - 0.75 * np.exp(-np.maximum(age, 0) / 40.0)), 0.0)
    fading = np.log(np.clip(left / 60.0, 0.1, 1.0))
    return (growing + fading).astype("float32")


def _noise(
    streams: Streams,
    expected: np.ndarray,
    category: np.ndarray,
    region: np.ndarray,
    categories: int,
    regions: int,
    labels: list[Label],
) -> np.ndarray:
    """Units wanted (series, days): shared shocks, heavy tails, the anomalies that are demand, negative binomial."""
    count, length = expected.shape

    def tails(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        return np.clip(0.035 * rng.standard_t(4, shape), -0.4, 0.4)

    shock = streams.daily("tails", count, length, tails)
    shock += streams.wandering("nation", 1, length, 0.010, 0.6)
    shock += streams.wandering("regions", regions, length, 0.015, 0.5)[region]
    shock += streams.wandering("categories", categories, length, 0.018, 0.5)[category]
    for label in labels:
        if label.kind in (story.SPIKE, story.DROP, story.OUTAGE):
            shock[story.rows(label, category, region), label.first : label.last + 1] += np.float32(np.log1p(label.size))
    mean = expected * np.exp(shock - np.float32(0.0017))  # so that shocks leave the mean as it is
    size = np.float32(150.0)  # variance = mean + mean² / size
    out = np.empty_like(mean)
    for start in range(0, length, BLOCK):
        rng, part = streams.block("units", start // BLOCK), mean[:, start : start + BLOCK]
        out[:, start : start + BLOCK] = rng.poisson(rng.gamma(size, 1 / size, part.shape) * part)
    return out
