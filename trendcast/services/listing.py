"""Rows of the current run as they are stored, page by page: what the REST service lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from trendcast.errors import InvalidInput
from trendcast.panel import DIMENSIONS
from trendcast.services.forecast import QUANTILES, RunInfo, Selection, resolve

if TYPE_CHECKING:
    from trendcast.store.engine import Database

NUMBERS = ("mean", *QUANTILES)
NAMES = ("level", *DIMENSIONS)


@dataclass(frozen=True)
class Page:
    """``rows``: the wanted slice of ``total`` rows; None in a row: not known."""

    total: int
    rows: list[dict[str, Any]]


def counted(read: Callable[[int, int], list[dict[str, Any]]], offset: int, limit: int) -> Page:
    """A page of what ``read(offset, limit)`` gives, where each row has the ``total`` of all."""
    rows = read(offset, limit)
    first = rows or read(0, 1)  # beyond the last page the count has no row to stand in
    total = int(first[0]["total"]) if first else 0
    return Page(total, [{name: value for name, value in row.items() if name != "total"} for row in rows])


def implied_level(selection_level: str | None, category: bool, region: bool, store: bool) -> str:
    """The level meant when only some dimensions are named: a category and a region mean category_region."""
    if selection_level:
        return selection_level
    finest = "store" if store else "region" if region else ""
    if not finest:
        return "category"
    return f"category_{finest}" if category else finest


def series_rows(index: pd.DataFrame, selection: Selection, offset: int, limit: int) -> Page:
    """The series of a selection: level, product_category, region, store, recent_units, unit_price."""
    found = resolve(index, selection)
    some = found.iloc[offset : offset + limit]
    names = [*NAMES, "recent_units", "unit_price"]
    columns = [_known(some[name]) for name in names]
    return Page(len(found), [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)])


def forecast_rows(
    db: Database,
    run: RunInfo,
    index: pd.DataFrame,
    selection: Selection,
    *,
    first: date | None = None,
    last: date | None = None,
    weekly: bool = False,
    money: bool = False,
    offset: int = 0,
    limit: int = 1000,
) -> Page:
    """Forecast rows with the mean and nine quantiles, in the order of the series and then of time; ``date`` is the day,
    or the Monday of the week.

    In money the mean is what the series below come to, each at its own price, and the quantiles are in proportion; what
    has no price is None. InvalidInput when the range is upside down, NotFound for unknown names.
    """
    if first is not None and last is not None and first > last:
        raise InvalidInput(f"'from' ({first}) lies after 'to' ({last}).")
    found = resolve(index, selection)
    dates = _dates(run, weekly)
    dates = [day for day in dates if (first is None or day >= first) and (last is None or day <= last)]
    total = len(found) * len(dates)
    wanted = range(offset, min(offset + limit, total))
    if not wanted:
        return Page(total, [])
    # Every series of a run has the same days, so a page is a slice of the series: no OFFSET over the whole table.
    at, end = wanted[0] // len(dates), wanted[-1] // len(dates) + 1
    some = series_rows(found, selection, at, end - at).rows
    ids = [int(number) for number in found["series_id"].iloc[at:end]]
    stored: dict[int, list[Mapping[str, Any]]] = {number: [] for number in ids}
    for row in db.rows(
        "listing_forecast_weekly" if weekly else "listing_forecast_daily",
        run_id=run.id,
        series_ids=ids,
        first=dates[0],
        last=dates[-1],
    ):
        stored[row["series_id"]].append(row)
    rows = []
    for number, series in zip(ids, some, strict=True):
        dimensions = {name: series[name] for name in NAMES}
        for row in stored[number]:
            numbers = {name: row[name] for name in NUMBERS}
            if money:
                price = row["price"]
                numbers = {name: None if price is None else row[name] * price for name in NUMBERS}
                numbers["mean"] = row["money"]
            rows.append({**dimensions, "date": row["date"], **numbers})
    start = wanted[0] - at * len(dates)
    return Page(total, rows[start : start + len(wanted)])


def _known(column: pd.Series) -> list[Any]:
    """A column's values as Python's, None for NaN."""
    return [None if value != value else value for value in column.tolist()]  # NaN differs from itself


def _dates(run: RunInfo, weekly: bool) -> list[date]:
    """The days of a run's forecast, or the Mondays of its whole weeks."""
    days = [run.last_day + timedelta(days=ahead) for ahead in range(1, run.horizon + 1)]
    if not weekly:
        return days
    return [day for day in days if day.weekday() == 0 and day + timedelta(days=6) <= days[-1]]


def job_rows(db: Database, names: Sequence[str], states: Sequence[str], offset: int, limit: int) -> Page:
    """Job slots, newest first: id, name, scheduled_for, state, attempts, times, error, at_work, seconds, progress
    (stage, done, total)."""

    def read(start: int, count: int) -> list[dict[str, Any]]:
        found = db.rows("job_page", names=list(names), states=list(states), offset=start, limit=count)
        return [dict(row) for row in found]

    return counted(read, offset, limit)
