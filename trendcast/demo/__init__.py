"""GlobalRetail Corp, a made-up retailer with known truth: for first looks, tests and benchmarks.

The same arguments give the same bytes, and one day more changes nothing that was before it. ``generate`` returns
frames by table name, ready for ``services.load.load_frames``; ``truth`` what is hidden behind them for the same
arguments. This room knows nothing of the models that are tried on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from trendcast.demo import demand, stock, tables
from trendcast.demo.demand import AHEAD, NAMES, REGIONS, WEATHER

__all__ = ["AHEAD", "NAMES", "REGIONS", "WEATHER", "Demo", "anomalies", "generate", "truth"]


@dataclass(frozen=True)
class Demo:
    """One made-up retailer, drawn when it is first asked for.

    ``stores`` is the number of stores per region (0: sales by region only); ``end`` the last day of sales (default
    yesterday); ``first`` the first day (default: 365 * ``years`` days up to ``end``). The story of the last 13 weeks
    ends 365 * ``years`` days after the first day: with ``first`` given, a later ``end`` only adds days.
    """

    categories: int = 24
    regions: int = 4
    stores: int = 0
    years: int = 3
    end: date | None = None
    seed: int = 7
    first: date | None = None

    @cached_property
    def retailer(self) -> demand.Retailer:
        return demand.draw(self.categories, self.regions, self.stores, self.years, self.end, self.seed, self.first)

    @cached_property
    def stock(self) -> stock.Stock:
        return stock.keep(self.retailer)

    @cached_property
    def units(self) -> np.ndarray:
        """What was sold, whole units (series, days of history)."""
        return stock.served(self.retailer, self.stock)

    @property
    def first_day(self) -> date:
        return self.retailer.first.astype(date)

    @property
    def last_day(self) -> date:
        return (self.retailer.first + (self.retailer.history - 1)).astype(date)

    def frames(self, after: date | None = None, until: date | None = None) -> dict[str, pd.DataFrame]:
        """Frames by table name: what came after the evening of ``after`` and by the evening of ``until`` (default:
        everything up to the last day). The plan reaches AHEAD days beyond ``until``, the events over a year."""
        start = self._number(after) + 1 if after else 0
        stop = self._number(until) + 1 if until else self.retailer.history
        return tables.tables(self.retailer, self.stock, self.units, start, stop)

    def truth(self) -> pd.DataFrame:
        """Per key and day of history what the tables hide: demand_units (without stock-outs), expected_units (without
        noise, anomalies and stock-outs), promotion_lift (a factor), lost_units."""
        retailer = self.retailer
        kept, past = tables.alive(retailer, 0, retailer.history), slice(0, retailer.history)
        frame = tables.keys(retailer, kept, 0)
        wanted = retailer.demand[:, past]
        frame["demand_units"] = wanted[kept].astype("float64")
        frame["expected_units"] = retailer.expected[:, past][kept].astype("float64")
        frame["promotion_lift"] = retailer.lift[:, past][kept].astype("float64")
        frame["lost_units"] = (wanted - self.units)[kept].astype("float64")
        return frame

    def truth_by_series(self) -> pd.DataFrame:
        """``truth`` as one row per key: product_category, region, store, first_day and the lists demand, expected, lift
        and lost, a value per day from the series' first to its last."""
        retailer, history = self.retailer, self.retailer.history
        started = np.flatnonzero(retailer.begins < history)
        frame = tables.keys(retailer, np.ones((len(started), 1), dtype=bool), 0, started).drop(columns="date_id")
        frame["first_day"] = (retailer.first + retailer.begins[started]).astype("datetime64[us]")
        lost = retailer.demand[:, :history] - self.units
        facts = {"demand": retailer.demand, "expected": retailer.expected, "lift": retailer.lift, "lost": lost}
        for name, values in facts.items():
            cut = (values[i, retailer.begins[i] : min(retailer.ends[i], history)] for i in started)
            frame[name] = pd.Series([np.round(part.astype("float64"), 3).tolist() for part in cut], dtype=object)
        return frame

    def anomalies(self) -> pd.DataFrame:
        """The labelled anomalies: kind, first_day, last_day, product_category, region, store ('' everywhere), size
        (what it does to units, as a share)."""
        return tables.label_frame(self.retailer)

    def _number(self, day: date) -> int:
        return int((np.datetime64(day, "D") - self.retailer.first).astype(int))


def generate(
    categories: int = 24,
    regions: int = 4,
    stores: int = 0,
    years: int = 3,
    end: date | None = None,
    seed: int = 7,
    first: date | None = None,
) -> dict[str, pd.DataFrame]:
    """Frames by table name of the whole retailer (see Demo)."""
    return Demo(categories, regions, stores, years, end, seed, first).frames()
