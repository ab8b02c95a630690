"""A made-up retailer in a real database, whose days arrive when a test says so."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from trendcast.services.detect import detect
from trendcast.services.load import load_frames
from trendcast.services.progress import silent
from trendcast.store.engine import Database

FIRST = date(2026, 1, 5)
CATEGORIES = [f"C{number:02d}" for number in range(10)]
REGIONS = ["East", "North", "South", "West"]
WEEK = np.array([0.9, 0.9, 0.95, 1.0, 1.1, 1.25, 0.9])


class Shop:
    """``units`` (series, days) of ten categories in four regions, 20 money a unit; ``load`` days of it, ``detect``."""

    def __init__(self, db: Database, days: int = 160, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.db = db
        self.keys = [(category, region) for category in CATEGORIES for region in REGIONS]
        level = 400 * np.exp(rng.normal(0, 0.3, (len(self.keys), 1)))
        # Noise without a tail: what is found is what a test put there.
        noise = np.exp(rng.uniform(-0.05, 0.05, (len(self.keys), days)))
        self.units = np.round(level * WEEK[np.arange(days) % 7] * noise)
        self.days = days
        self.loaded = 0

    def row(self, category: str, region: str) -> int:
        return self.keys.index((category, region))

    def day(self, number: int) -> date:
        """The day of a column of units."""
        return FIRST + timedelta(days=number)

    def clock(self) -> datetime:
        """The morning after the last day that was loaded."""
        return datetime.combine(self.day(self.loaded), datetime.min.time(), UTC) + timedelta(hours=6)

    def frame(self, first: int, last: int) -> pd.DataFrame:
        """sales_daily of the days first..last-1, without what is NaN."""
        row, day = np.nonzero(np.isfinite(self.units[:, first:last]))
        day = day + first
        return pd.DataFrame(
            {
                "date_id": [FIRST + timedelta(days=int(one)) for one in day],
                "product_category": [self.keys[one][0] for one in row],
                "region": [self.keys[one][1] for one in row],
                "sales_units": self.units[row, day],
                "sales_revenue": 20 * self.units[row, day],
            }
        )

    def load(self, until: int, first: int | None = None) -> None:
        start = self.loaded if first is None else first
        self.loaded = max(self.loaded, until)
        load_frames(self.db, {"sales_daily": self.frame(start, until)}, source="test", accept=True, clock=self.clock)

    def detect(self, **how: Any) -> dict[str, Any]:
        return detect(self.db, self.clock, silent, None, **how)

    def rows(self, table: str, order: str = "id") -> list[dict[str, Any]]:
        """The table as it stands, for the eyes of a test."""
        from sqlalchemy import text

        with self.db.read() as connection:
            found = connection.execute(text("SELECT * FROM " + table + " ORDER BY " + order))
            return [dict(one) for one in found.mappings()]
