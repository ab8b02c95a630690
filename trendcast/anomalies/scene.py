"""What a detection looks at: some two hundred days of all bottom series, with what was expected and known of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from trendcast.anomalies.limits import Key
from trendcast.panel import DIMENSIONS

AROUND = (0, -1, 1)  # days from an event that it may move, the event's own day first
DIP = 3  # days after a promotion on which less is sold than usual
SEASON = 0.5  # an "event" on more days than this is a season, not an event


@dataclass(frozen=True, eq=False)
class Stock:
    """What is known of the stock by category (G,) and day (G, T): NaN, or False, where nothing is.

    ``lead``: days until an order arrives, NaN where unknown.
    """

    categories: list[str]
    on_hand: np.ndarray
    out: np.ndarray
    lead: np.ndarray

    def row(self, category: str) -> int | None:
        return self.categories.index(category) if category in self.categories else None


@dataclass(frozen=True, eq=False)
class Taught:
    """What an event did before the first day, as somebody said of it: of ``event`` (a code), in logarithms by row."""

    event: int
    rows: np.ndarray
    effects: np.ndarray


@dataclass(frozen=True, eq=False)
class Wrong:
    """What somebody called a fault of the data: the node, its series, what came in times of what was expected, when."""

    key: tuple[str, str, str, str]
    rows: np.ndarray
    ratio: float
    day: str


@dataclass(frozen=True, eq=False)
class Scene:
    """All bottom series as arrays (S, T).

    series: columns level, product_category, region, store. units: NaN where nothing was recorded. forecast: the mean
    published before the day, NaN where none was. promotion: 0..1, NaN not known. closed: nothing was to be sold.
    event: code of the event a day stands under, 0 for none; events[code] is its name and offset; seen[code] how often
    it happened before the first day. value: money of a unit lost (margin, or price), NaN unknown. masked: points a
    verdict took out of what is learnt from. accepted: (S,) day from which a new level holds, 0 for none. found: points
    that were found before, and are not what is usual. taught, wrong: what verdicts said of events and of feeds.
    """

    series: pd.DataFrame
    first_day: np.datetime64
    units: np.ndarray
    forecast: np.ndarray
    promotion: np.ndarray
    closed: np.ndarray
    event: np.ndarray
    events: list[tuple[str, int]]
    seen: np.ndarray
    value: np.ndarray
    stock: Stock
    masked: np.ndarray
    accepted: np.ndarray
    found: np.ndarray
    taught: tuple[Taught, ...] = ()
    wrong: tuple[Wrong, ...] = ()

    @cached_property
    def keys(self) -> list[tuple[str, str, str, str]]:
        """Level, category, region and store of each series."""
        return list(self.series[["level", *DIMENSIONS]].astype(str).itertuples(index=False, name=None))

    @cached_property
    def _places(self) -> dict[str, tuple[dict[str, int], np.ndarray, list[np.ndarray]]]:
        """Of each dimension the codes of its names, that of each series (S,), and by code its rows in order."""
        found = {}
        for dimension in DIMENSIONS:
            code, names = pd.factorize(self.series[dimension])
            order = np.argsort(code, kind="stable")
            rows = np.split(order, np.searchsorted(code[order], np.arange(1, len(names))))
            found[dimension] = ({str(name): number for number, name in enumerate(names)}, code, rows)
        return found

    def under(self, key: Key) -> np.ndarray:
        """Rows of the series below a node, in order; its dimensions that are '' do not matter."""
        rows = None
        for dimension, name in zip(DIMENSIONS, key[1:], strict=True):
            if not name:
                continue
            codes, code, rows_of = self._places[dimension]
            if name not in codes:
                return np.zeros(0, int)
            rows = rows_of[codes[name]] if rows is None else rows[code[rows] == codes[name]]
        return np.arange(len(self.units)) if rows is None else rows

    @property
    def days(self) -> int:
        return self.units.shape[1]

    @property
    def dates(self) -> np.ndarray:
        return self.first_day + np.arange(self.days)

    def place(self, day: str) -> int:
        """The index of a day written as YYYY-MM-DD; it may lie outside."""
        return int(np.datetime64(day, "D").astype(int) - self.first_day.astype("datetime64[D]").astype(int))

    @cached_property
    def special(self) -> np.ndarray:
        """bool (S, T): the day stands under an event or a promotion, or in the dip after one."""
        return (self.event > 0) | self.promoted | self.after_promotion

    @cached_property
    def promoted(self) -> np.ndarray:
        return np.nan_to_num(self.promotion) > 0.5

    @cached_property
    def after_promotion(self) -> np.ndarray:
        """bool (S, T): one of the first days after a promotion, when the shelves at home are full."""
        on = self.promoted
        after = np.zeros(on.shape, bool)
        for lag in range(1, DIP + 1):
            after[:, lag:] |= on[:, :-lag]
        return after & ~on

    @classmethod
    def of(
        cls,
        series: pd.DataFrame,
        first_day: object,
        units: np.ndarray,
        *,
        forecast: np.ndarray | None = None,
        promotion: np.ndarray | None = None,
        closed: np.ndarray | None = None,
        events: pd.DataFrame | None = None,
        value: np.ndarray | None = None,
        stock: Stock | None = None,
        masked: np.ndarray | None = None,
        accepted: np.ndarray | None = None,
        found: np.ndarray | None = None,
    ) -> Scene:
        """A scene in which what is not given is not known. ``events``: date_id, region ('' everywhere), event; dates
        before the first day count as earlier occurrences."""
        first = np.datetime64(str(first_day), "D") if not isinstance(first_day, np.datetime64) else first_day
        units = np.asarray(units, np.float64)
        nothing = np.full(units.shape, np.nan)
        event, names, seen = event_codes(events, first, units.shape[1], series["region"].to_numpy(object))
        frame = series.reset_index(drop=True)
        for column in DIMENSIONS:
            if column not in frame:
                frame[column] = ""
        return cls(
            series=frame,
            first_day=first.astype("datetime64[D]"),
            units=units,
            forecast=nothing if forecast is None else forecast,
            promotion=nothing if promotion is None else promotion,
            closed=np.zeros(units.shape, bool) if closed is None else closed,
            event=event,
            events=names,
            seen=seen,
            value=np.full(len(units), np.nan) if value is None else np.asarray(value, float),
            stock=stock or Stock([], np.zeros((0, units.shape[1])), np.zeros((0, units.shape[1]), bool), np.zeros(0)),
            masked=np.zeros(units.shape, bool) if masked is None else masked,
            accepted=np.zeros(len(units), int) if accepted is None else accepted,
            found=np.zeros(units.shape, bool) if found is None else found,
        )


def event_codes(
    events: pd.DataFrame | None, first_day: np.datetime64, days: int, region: Sequence[str] | np.ndarray
) -> tuple[np.ndarray, list[tuple[str, int]], np.ndarray]:
    """Codes (S, T) of the events of each series' region, (name, offset) by code, and how often each was before."""
    names: list[tuple[str, int]] = [("", 0)]
    if events is None or len(events) == 0:
        return np.zeros((len(region), days), np.int16), names, np.zeros(1)
    start = first_day.astype("datetime64[D]").astype(int)
    day = events["date_id"].to_numpy().astype("datetime64[D]").astype(int) - start
    place = events["region"].fillna("").astype(str).to_numpy(object)
    name = events["event"].astype(str).to_numpy(object)
    inside = (day >= 0) & (day < days)
    often = pd.Series(day[inside]).groupby(name[inside]).nunique()
    seasons = set(often[often > SEASON * days].index)
    regions = sorted({str(one) for one in region})
    table = np.zeros((len(regions), days), np.int16)
    by_key: dict[tuple[str, int], int] = {("", 0): 0}
    joined: dict[tuple[int, str], set[str]] = {}
    for at, where, what in zip(day.tolist(), place.tolist(), name.tolist(), strict=True):
        if -1 <= at <= days and what not in seasons:
            joined.setdefault((at, where), set()).add(what)
    for offset in AROUND:
        for (at, where), whats in sorted(joined.items(), key=lambda item: item[0]):
            key = (" + ".join(sorted(whats)), offset)
            spot = at + offset
            if not 0 <= spot < days:
                continue
            code = by_key.setdefault(key, len(by_key))
            for row, own in enumerate(regions):
                if where in ("", own) and table[row, spot] == 0:
                    table[row, spot] = code
    names = list(by_key)
    earlier: dict[str, int] = pd.Series(day[day < 0]).groupby(name[day < 0]).nunique().to_dict() if len(day) else {}
    seen = np.array([min((earlier.get(part, 0) for part in key.split(" + ")), default=0) for key, _ in names], float)
    lookup = {own: row for row, own in enumerate(regions)}
    return table[[lookup[str(one)] for one in region]], names, seen
