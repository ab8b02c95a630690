"""The series of a run, and what can be chosen among them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from trendcast.ui import text
from trendcast.ui.provider import Choice


class Catalogue:
    """The series of one run and what the filters offer; shared, never changed.

    Stores depend on the regions and categories chosen, so that nobody has to search 1,115 of them.
    """

    def __init__(self, index: pd.DataFrame) -> None:
        self.index = index
        self.levels = tuple(level for level in text.LEVELS if (index["level"] == level).any())
        # dict() would take the groups for a mapping: they have keys.
        self.by_level = {level: index[index["level"] == level] for level in self.levels}
        self._options: dict[tuple[Any, ...], tuple[str, ...]] = {}

    def options(
        self, level: str, column: str, regions: tuple[str, ...] = (), categories: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """The names a filter offers at a level; () when the level does not have the dimension."""
        key = (level, column, regions, categories)
        if key not in self._options:
            self._options[key] = self._find(level, column, regions, categories)
        return self._options[key]

    def _find(self, level: str, column: str, regions: tuple[str, ...], categories: tuple[str, ...]) -> tuple[str, ...]:
        if not has(level, column):
            return ()
        frame = self.by_level.get(level)
        if frame is None:
            return ()
        if (
            column == "store"
            and not has(level, "product_category")
            and categories
            and "category_store" in self.by_level
        ):
            frame = self.by_level["category_store"]
        if regions and column == "store":
            frame = frame[frame["region"].isin(regions)]
        if categories and column == "store":
            frame = frame[frame["product_category"].isin(categories)]
        names = frame[column]
        return tuple(sorted({str(name) for name in names if name != ""}))


def has(level: str, column: str) -> bool:
    """Whether a level has a dimension of its own (a store also names its region, which narrows the list)."""
    return {
        "product_category": level.startswith("category"),
        "region": level.endswith(("region", "store")),
        "store": level.endswith("store"),
    }[column]


def choice_of(index: pd.DataFrame, series_id: int) -> Choice:
    """The choice that means one series of the index."""
    row = index.set_index("series_id").loc[series_id]
    level = str(row["level"])
    return Choice(
        level,
        (str(row["product_category"]),) if has(level, "product_category") else (),
        (str(row["region"]),) if level.endswith("region") else (),
        (str(row["store"]),) if has(level, "store") else (),
    )
