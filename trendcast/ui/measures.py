"""The measures of one selection over time: one row per week (by its Monday) or per day, for chart, table and export.

The chart, the table and the downloads show this one frame, so they cannot disagree.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trendcast.ui import text

QUANTILES = ("q025", "q10", "q50", "q90", "q975")
COLUMNS = [
    "date",
    "future",
    "actual",
    "lost",
    "demand",
    "last_year",
    "p50",
    "low80",
    "high80",
    "low95",
    "high95",
    "mean",
    "as_of_last_week",
    "error",
    "days",
    "promotion",
    "closed",
    "stockout",
    "events",
]
WEEK, YEAR = 7, 364  # a year back in whole weeks, so weekdays meet
EVENTS = " · "  # between the events of one day, as the services join them


def monday(dates: pd.Series) -> pd.Series:
    """The Monday on or before each date. (pandas' period W-MON would END on Monday.)"""
    return dates - pd.to_timedelta(dates.dt.day_of_week, unit="D")


def grid(
    history: pd.DataFrame,
    daily: pd.DataFrame,
    weekly: pd.DataFrame,
    logged: pd.DataFrame,
    *,
    last_day: pd.Timestamp,
    grain: str,
    unit: str = "units",
) -> pd.DataFrame:
    """All measures of a selection, oldest first.

    ``history``, ``daily`` and ``weekly`` are those of services.forecast (history may reach beyond ``last_day`` with
    what is planned: promotion, open, events); ``logged``: week, mean, money, published one week before. In ``unit``
    money, actuals are the history's revenue, means the money of the forecast, quantiles theirs times its price.
    Columns: see COLUMNS; ``lost`` is what stock-outs turned away and ``demand`` the actual with it (both NaN where
    nothing ever was lost); ``days`` counts the days whose actual is known, ``closed`` and ``promotion`` are shares of
    days, ``closed`` only counts days that are usually open, ``error`` is (forecast - actual) / actual.
    """
    last_day = pd.Timestamp(last_day)
    until = weekly["week"].max() + pd.Timedelta(6, "D") if len(weekly) else last_day  # of old runs only weeks are kept
    days = _days(history, daily, last_day, unit, until)
    table = _by_day(days) if grain == "day" else _by_week(days, weekly, last_day, unit)
    step = 1 if grain == "day" else WEEK
    table.loc[table["actual"].isna(), "lost"] = np.nan
    if not (table["lost"] > 0).any():
        table["lost"] = np.nan
    table["demand"] = table["actual"] + table["lost"]
    back = table.set_index("date")["actual"]
    table["last_year"] = back.reindex(table["date"] - pd.Timedelta(YEAR, "D")).to_numpy()
    table["as_of_last_week"] = np.nan
    if grain == "week" and len(logged):
        published = logged.drop_duplicates("week").set_index("week")["money" if unit == "money" else "mean"]
        table["as_of_last_week"] = published.reindex(table["date"]).to_numpy(dtype=float)
    actual = table["actual"].to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = (table["as_of_last_week"].to_numpy(dtype=float) - actual) / actual
    table["error"] = np.where(np.isfinite(error), error, np.nan)
    table["future"] = table["date"] + pd.Timedelta(step - 1, "D") > last_day
    return table.reindex(columns=COLUMNS).reset_index(drop=True)


def _days(
    history: pd.DataFrame, daily: pd.DataFrame, last_day: pd.Timestamp, unit: str, until: pd.Timestamp
) -> pd.DataFrame:
    """One row per day, past and future, with actuals and forecasts in the unit asked for."""
    known = history.set_index("date_id")
    ahead = _in_unit(daily.set_index("date_id"), unit)
    first = known.index.min() if len(known) else ahead.index.min()
    end = max(ahead.index.max() if len(ahead) else until, last_day)
    days = pd.DataFrame(index=pd.date_range(first, end, freq="D", name="date"))
    actual = known["revenue" if unit == "money" else "units"].reindex(days.index).astype(float)
    past = days.index <= last_day
    days["actual"] = actual.where(past)
    lost = "lost_revenue" if unit == "money" else "lost"
    days["lost"] = known[lost].reindex(days.index).astype(float).where(past) if lost in known else np.nan
    for name, column in zip(("low95", "low80", "p50", "high80", "high95"), QUANTILES, strict=True):
        values = ahead[column].reindex(days.index) if column in ahead else pd.Series(np.nan, index=days.index)
        days[name] = values.astype(float)
    days["mean"] = ahead["mean"].reindex(days.index).astype(float)
    promotion = known["promotion"] if "promotion" in known else pd.Series(dtype=float)
    days["promotion"] = promotion.reindex(days.index).astype(float)
    share_open = (known["open"] if "open" in known else pd.Series(dtype=float)).reindex(days.index).astype(float)
    # A shop closed every Sunday needs no mark on every week: only unusual closings count.
    usual = share_open.where(past).groupby(days.index.day_of_week).transform("mean")
    days["closed"] = ((share_open < 0.5) & (usual > 0.5)).astype(float)
    stockout = (known["stockout"] if "stockout" in known else pd.Series(dtype=float)).reindex(days.index)
    days["stockout"] = stockout.fillna(False).astype(float)
    events = (known["events"] if "events" in known else pd.Series(dtype=object)).reindex(days.index)
    days["events"] = events.astype(object).where(events.notna(), "")
    return days


def _in_unit(ahead: pd.DataFrame, unit: str) -> pd.DataFrame:
    """A forecast's mean and quantiles in units or money. Money of the mean is stored, because it adds up; quantiles
    are in proportion to it."""
    if unit != "money":
        return ahead
    quantiles = [name for name in QUANTILES if name in ahead]
    return ahead.assign(mean=ahead["money"], **{name: ahead[name] * ahead["price"] for name in quantiles})


def _by_day(days: pd.DataFrame) -> pd.DataFrame:
    table = days.reset_index()
    table["days"] = table["actual"].notna().astype(int)
    return table


def _by_week(days: pd.DataFrame, weekly: pd.DataFrame, last_day: pd.Timestamp, unit: str) -> pd.DataFrame:
    """Whole weeks. The running week (if the data end inside one) has no actual; its expected value is what has been
    sold so far plus the forecast of the days left, and it has no band."""
    frame = days.reset_index()
    frame["week"] = monday(frame["date"])
    frame["blend"] = frame["actual"].fillna(0.0) + frame["mean"].fillna(0.0)
    grouped = frame.groupby("week", sort=True)
    table = pd.DataFrame(
        {
            "actual": grouped["actual"].sum(min_count=1),
            "lost": grouped["lost"].sum(min_count=1),
            "days": grouped["actual"].count(),
            "n": grouped["date"].count(),
            "blend": grouped["blend"].sum(),
            "promotion": grouped["promotion"].mean(),
            "closed": grouped["closed"].mean(),
            "stockout": grouped["stockout"].sum(),
            "events": grouped["events"].agg(_join),
        }
    )
    whole = table["n"] == WEEK
    table.loc[~whole | (table.index + pd.Timedelta(6, "D") > last_day), "actual"] = np.nan
    bands = _in_unit(weekly.set_index("week"), unit)
    for name, column in zip(("low95", "low80", "p50", "high80", "high95"), QUANTILES, strict=True):
        values = bands[column].reindex(table.index) if column in bands else pd.Series(np.nan, index=table.index)
        table[name] = values.astype(float)
    table["mean"] = bands["mean"].reindex(table.index).astype(float)
    running = (table.index <= last_day) & (table.index + pd.Timedelta(6, "D") > last_day) & whole.to_numpy()
    if days["mean"].notna().any():
        table.loc[running, "mean"] = table.loc[running, "blend"]
    keep = table["actual"].notna() | table["mean"].notna() | (table.index + pd.Timedelta(6, "D") <= last_day)
    keep &= (table.index >= days.index[0]) & (whole | table["mean"].notna())
    return table[keep].rename_axis("date").reset_index()


def _join(names: pd.Series) -> str:
    seen = dict.fromkeys(part for text in names if text for part in str(text).split(EVENTS))
    return EVENTS.join(seen)


def window(table: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """The rows from the week of ``first`` to the week of ``last``."""
    return table[(table["date"] >= first) & (table["date"] <= last)].reset_index(drop=True)


def thin(table: pd.DataFrame, points: int = 2000) -> pd.DataFrame:
    """At most ``points`` rows, the newest: what an SVG chart bears."""
    return table.iloc[-points:].reset_index(drop=True)


def by_week(days: pd.DataFrame) -> pd.DataFrame:
    """Daily parts (date and numbers) summed to whole weeks."""
    frame = days.assign(date=monday(days["date"]))
    grouped = frame.groupby("date", sort=True)
    whole = grouped.size() == WEEK
    return grouped.sum()[whole].reset_index()


@dataclass(frozen=True)
class Kpis:
    """Sums over the next twelve whole weeks and what they are compared with; None where a week is missing."""

    weeks: int
    ahead: float | None
    last_year: float | None
    before: float | None
    first_week: pd.Timestamp | None
    next_week: float | None = None
    next_low: float | None = None
    next_high: float | None = None


def kpis(table: pd.DataFrame, weeks: int = 12) -> Kpis:
    """``table``: the weekly grid of a selection over all time."""
    ahead = table[table["future"] & (table["days"] == 0) & table["mean"].notna()].head(weeks)
    if ahead.empty:
        return Kpis(0, None, None, None, None)
    before = table[table["actual"].notna()].tail(len(ahead))
    first = ahead.iloc[0]
    return Kpis(
        weeks=len(ahead),
        ahead=float(ahead["mean"].sum()),
        last_year=float(ahead["last_year"].sum()) if ahead["last_year"].notna().all() else None,
        before=float(before["actual"].sum()) if len(before) == len(ahead) else None,
        first_week=first["date"],
        next_week=_number(first["mean"]),
        next_low=_number(first["low80"]),
        next_high=_number(first["high80"]),
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


ROWS = {
    "actual": "Actual",
    "demand": "Demand without stockouts",
    "last_year": "Last year",
    "mean": "Forecast, mean",
    "p50": "Forecast P50",
    "low80": "Low (P10)",
    "high80": "High (P90)",
    "as_of_last_week": "Forecast as of last week",
    "error": "Error of last week's forecast",
}


@dataclass(frozen=True)
class Mark:
    """An anomaly of a selection on a day."""

    day: dt.date
    impact: str
    headline: str
    incident_id: int
    status: str


RANK = {"HIGH": 0, "MEDIUM": 1, "LOW": 2}


def marked(table: pd.DataFrame, marks: Sequence[Mark], grain: str) -> pd.DataFrame:
    """Where the marks lie on the rows of a grid: date, actual, impact (the gravest of the week), headline. A mark on a
    row without an actual stands where sales were expected, or at zero."""
    rows = []
    for mark in sorted(marks, key=lambda one: RANK[one.impact]):
        day = pd.Timestamp(mark.day)
        date = day - pd.Timedelta(day.day_of_week, "D") if grain == "week" else day
        rows.append((date, mark.impact, mark.headline))
    frame = pd.DataFrame(rows, columns=["date", "impact", "headline"])
    if frame.empty:
        return frame.assign(actual=[])
    grouped = frame.groupby("date", sort=True)
    frame = pd.DataFrame({"impact": grouped["impact"].first(), "headline": grouped["headline"].agg(_first_two)})
    at = table.set_index("date")
    frame = frame[frame.index.isin(at.index)]
    level = at["actual"].fillna(at["last_year"]).fillna(0.0)
    return frame.assign(actual=level.reindex(frame.index)).rename_axis("date").reset_index()


def true_demand(truth: pd.DataFrame, table: pd.DataFrame, grain: str) -> pd.DataFrame:
    """The demo's true demand on the rows of a grid: date, demand; whole weeks only."""
    days = pd.DataFrame({"date": pd.to_datetime(truth["date_id"]), "demand": truth["demand"].astype(float)})
    frame = by_week(days) if grain == "week" and len(days) else days
    return frame[frame["date"].isin(table["date"])].reset_index(drop=True)


def _first_two(headlines: pd.Series) -> str:
    said = list(dict.fromkeys(headlines))
    return " ".join(said[:2]) + (f" And {len(said) - 2} more." if len(said) > 2 else "")


def pivot(table: pd.DataFrame) -> pd.DataFrame:
    """The measure table: rows are measures, columns are weeks (or days), every cell as people read it.

    Rows without any number are left out. The first column, 'Measure', names the row; the others are ISO dates.
    """
    heads = [f"{d:%Y-%m-%d}" for d in table["date"]]
    rows = {}
    for column, label in ROWS.items():
        values = table[column]
        if not values.notna().any():
            continue
        if column == "error":
            rows[label] = ["" if pd.isna(v) else text.percent(v, sign=True) for v in values]
        else:
            rows[label] = ["" if pd.isna(v) else text.full(v) for v in values]
    if ROWS["actual"] in rows:  # the running week: its mean is what was sold and what is expected of the days left
        running = table["actual"].isna() & table["mean"].notna() & table["days"].between(1, WEEK - 1)
        for place in np.flatnonzero(running):
            rows[ROWS["actual"]][place] = f"{int(table['days'].iloc[place])} of {WEEK} days"
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=heads)
    frame.insert(0, "Measure", frame.index)
    return frame.reset_index(drop=True)


def export(table: pd.DataFrame, grain: str, unit: str) -> pd.DataFrame:
    """What is shown, one row per week or day with full numbers, for CSV and XLSX."""
    suffix = f" ({text.measure_inline(unit)})"
    head = "Week (Monday)" if grain == "week" else "Day"
    out = pd.DataFrame({head: table["date"]})
    if grain == "week":
        out["ISO week"] = [f"{d.isocalendar().year}-W{d.isocalendar().week:02d}" for d in table["date"]]
    named = {**ROWS, "low95": "Low (P2.5)", "high95": "High (P97.5)"}
    order = ["actual", "demand", "last_year", "p50", "low80", "high80", "low95", "high95", "mean", "as_of_last_week"]
    for column in order:
        if column == "demand" and table["demand"].isna().all():
            continue
        out[named[column] + suffix] = table[column].round(6).to_numpy()
    out["Error of last week's forecast %"] = table["error"].to_numpy()
    out["Promotion %"] = table["promotion"].to_numpy()
    out["Stock-out days" if grain == "week" else "Stock-out"] = table["stockout"].to_numpy()
    out["Events"] = table["events"].to_numpy()
    return out
