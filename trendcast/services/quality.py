"""The quality of what is loaded: gaps, zeros, prices, late feeds, refused rows and stock that does not add up; worst
first, each with a sentence that says what to do."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast import wording

if TYPE_CHECKING:
    from trendcast.store.engine import Database

LATE_DAYS, ENDED_DAYS = 2, 56  # a series that stopped so many days before the others is late; after so many, ended
GAP_SHARE, ZERO_SHARE, PRICE_SHARE, STOCK_SHARE = 0.01, 0.60, 0.05, 0.10
SHORT_DAYS = 365
SEVERITIES = {3: "Fix", 2: "Look", 1: "Know"}
NAMES = ["product_category", "region", "store"]
TABLES = {
    "sales_daily": "Sales",
    "market_factors": "Market factors",
    "inventory_daily": "Stock",
    "plan_daily": "Plan",
    "events": "Events and holidays",
    "purchase_orders": "Purchase orders",
}
_LOOKS_AHEAD = ("plan_daily", "events")


@dataclass(frozen=True)
class Quality:
    """What is known of the quality of the data.

    ``tables``: table_name, first_day, last_day, n_rows, missing_days (days without any row), refused, late_days.
    ``series``: NAMES, first_day, last_day, days, missing_days, missing_share, zero_share, closed_days, priced_share,
    late_days, units. ``issues``: severity (3 fix, 2 look, 1 know), what, table_name, NAMES, value, units, sentence.
    """

    tables: pd.DataFrame
    series: pd.DataFrame
    issues: pd.DataFrame
    finding: str


def quality(db: Database) -> Quality:
    """All of it, read at one moment."""
    with db.read() as connection:
        raw = db.frame("quality_series", connection=connection)
        others = db.frame("quality_tables", connection=connection)
        refused = db.frame("quality_refused", connection=connection)
        stock = db.frame("quality_stock", connection=connection)
    series = of_series(raw)
    tables = _tables(series, others, refused)
    found = issues(series, tables, refused, stock)
    return Quality(tables, series, found, finding(series, found))


def of_series(raw: pd.DataFrame) -> pd.DataFrame:
    """The figures of each series from sql/quality_series.sql. A weekday on which a series hardly ever has a row (a
    shop closed on Sundays) is not missing."""
    if raw.empty:
        columns = ["first_day", "last_day", "days", "missing_days", "missing_share", "zero_share", "closed_days"]
        return pd.DataFrame(columns=[*NAMES, *columns, "priced_share", "late_days", "units"])
    first, last = pd.to_datetime(raw["first_day"]), pd.to_datetime(raw["last_day"])
    span = (last - first).dt.days.to_numpy() + 1
    have = np.array(raw["weekdays"].tolist(), dtype=float)
    offset = (np.arange(7)[None, :] - first.dt.day_of_week.to_numpy()[:, None]) % 7
    due = np.maximum(0, (span[:, None] - offset + 6) // 7)  # how often each weekday lies between first and last
    expected = np.where(have > 0.1 * due, due, have).sum(axis=1)
    missing = np.maximum(0, expected - raw["n_rows"].to_numpy(float))
    kept = raw["n_rows"].to_numpy(float)
    return pd.DataFrame(
        {
            **{name: raw[name] for name in NAMES},
            "first_day": first.dt.date,
            "last_day": last.dt.date,
            "days": raw["n_rows"].astype(int),
            "missing_days": missing.astype(int),
            "missing_share": missing / np.maximum(expected, 1),
            "zero_share": raw["zeros"].to_numpy(float) / np.maximum(kept - raw["closed"].to_numpy(float), 1),
            "closed_days": raw["closed"].astype(int),
            "priced_share": np.where(
                raw["sold"].to_numpy(float) > 0,
                np.minimum(1, raw["priced"].to_numpy(float) / np.maximum(raw["sold"].to_numpy(float), 1)),
                1.0,
            ),
            "late_days": (last.max() - last).dt.days.astype(int),
            "units": raw["units"].astype(float),
        }
    )


def _tables(series: pd.DataFrame, others: pd.DataFrame, refused: pd.DataFrame) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    if len(series):
        first, last = series["first_day"].min(), series["last_day"].max()
        rows.append({"table_name": "sales_daily", "first_day": first, "last_day": last, "n_rows": series["days"].sum()})
        rows[0]["missing_days"] = int(series["missing_days"].sum())
    newest = series["last_day"].max() if len(series) else None
    for row in others.to_dict("records"):
        begins, ends = _date(row["first_day"]), _date(row["last_day"])
        span = (ends - begins).days + 1 if begins and ends else 0
        sparse = row["table_name"] in ("events", "purchase_orders")
        rows.append(
            {
                "table_name": row["table_name"],
                "first_day": begins,
                "last_day": ends,
                "n_rows": row["n_rows"],
                "missing_days": 0 if sparse else max(0, span - int(row["days"])),
            }
        )
    columns = ["table_name", "first_day", "last_day", "n_rows", "missing_days"]
    frame = pd.DataFrame(rows, columns=columns)
    by_table = refused.groupby("table_name")["n_rows"].sum() if len(refused) else pd.Series(dtype=float)
    frame["refused"] = frame["table_name"].map(by_table).fillna(0).astype(int)
    late = [
        max(0, (newest - last).days) if newest and isinstance(last, dt.date) and name != "purchase_orders" else 0
        for name, last in zip(frame["table_name"], frame["last_day"], strict=True)
    ]
    frame["late_days"] = late
    return frame


def _date(value: Any) -> dt.date | None:
    return None if pd.isna(value) else pd.Timestamp(value).date()


def issues(series: pd.DataFrame, tables: pd.DataFrame, refused: pd.DataFrame, stock: pd.DataFrame) -> pd.DataFrame:
    """Everything worth a sentence, the worst first: by severity, then by units sold."""
    found: list[dict[str, Any]] = []

    def say(
        severity: int, what: str, table: str, value: float, units: float, sentence: str, same: int = 0, **names: str
    ) -> None:
        empty = dict.fromkeys(NAMES, "")
        found.append(
            {"severity": severity, "what": what, "table_name": table, **empty, **names, "value": value, "units": units}
            | {"sentence": sentence, "same": same}
        )

    priced_somewhere = bool(len(series)) and bool((series["priced_share"] > 0.5).any())
    for row in series.to_dict("records"):
        names = {name: row[name] for name in NAMES}
        name = series_name(names)
        if LATE_DAYS <= row["late_days"] < ENDED_DAYS:
            days = wording.count(row["late_days"], "day")
            say(3, "Late", "sales_daily", row["late_days"], row["units"], same=row["late_days"], **names, sentence=(
                f"{name} has no rows for the last {days} while others have: ask for the missing feed, or load zeros "
                "where nothing was sold."
            ))  # fmt: skip
        elif row["late_days"] >= ENDED_DAYS:
            say(1, "Ended", "sales_daily", row["late_days"], row["units"], same=row["late_days"], **names, sentence=(
                f"{name} ended on {wording.day(row['last_day'])}. If it is sold again, its rows are missing."
            ))  # fmt: skip
        if row["missing_share"] > GAP_SHARE:
            severity = 3 if row["missing_share"] > 0.1 else 2
            gap = row["missing_days"]
            say(severity, "Gaps", "sales_daily", row["missing_share"], row["units"], same=gap, **names, sentence=(
                f"{name} lacks {wording.count(gap, 'day')} between its first and last "
                f"({wording.percent(row['missing_share'], 1)}): load them, with 0 where nothing was sold; a gap is "
                "treated as unknown."
            ))  # fmt: skip
        if row["zero_share"] > ZERO_SHARE:
            say(1, "Mostly zero", "sales_daily", row["zero_share"], row["units"], **names, sentence=(
                f"{name} sells on {wording.percent(1 - row['zero_share'])} of its days only: trust its weeks more than "
                "its days."
            ))  # fmt: skip
        if priced_somewhere and row["priced_share"] < 1 - PRICE_SHARE:
            say(2, "Prices missing", "sales_daily", 1 - row["priced_share"], row["units"], **names, sentence=(
                f"{name} has no price or revenue on {wording.percent(1 - row['priced_share'])} of the days it sold, so "
                "its money is incomplete: load unit_price or sales_revenue."
            ))  # fmt: skip
        span = (row["last_day"] - row["first_day"]).days + 1
        if row["late_days"] < LATE_DAYS and span < SHORT_DAYS:
            say(1, "Short history", "sales_daily", span, row["units"], same=span, **names, sentence=(
                f"{name} has {wording.count(span, 'day')}, less than a year: its seasons are borrowed from its "
                "kind."
            ))  # fmt: skip
    if len(series) and not priced_somewhere:
        say(2, "Prices missing", "sales_daily", 1.0, float(series["units"].sum()), (
            "The sales have no prices and no revenue, so nothing can be ranked by money: load unit_price or "
            "sales_revenue."
        ))  # fmt: skip
    for row in tables.to_dict("records"):
        label = TABLES.get(row["table_name"], row["table_name"])
        if row["table_name"] in ("market_factors", "inventory_daily") and row["late_days"] > LATE_DAYS:
            say(3, "Late", row["table_name"], row["late_days"], 0.0, (
                f"{label} ends {wording.count(row['late_days'], 'day')} before the sales: ask for the newer rows."
            ))  # fmt: skip
        if row["table_name"] in _LOOKS_AHEAD and row["last_day"] and len(series):
            ahead = (row["last_day"] - series["last_day"].max()).days
            if ahead < 28:
                say(2, "Plan ends", row["table_name"], ahead, 0.0, (
                    f"{label} reaches only {wording.count(max(0, ahead), 'day')} ahead: load what is known of the next "
                    "twelve weeks."
                ))  # fmt: skip
        if row["table_name"] != "sales_daily" and row["missing_days"] and row["table_name"] not in _LOOKS_AHEAD:
            say(2, "Gaps", row["table_name"], row["missing_days"], 0.0, (
                f"{label} has no row on {wording.count(row['missing_days'], 'day')} between its first and last: load "
                "them."
            ))  # fmt: skip
    for row in refused.to_dict("records"):
        label = TABLES.get(row["table_name"], row["table_name"])
        twice = "same key" in row["reason"]
        say(2, "Duplicates" if twice else "Refused", row["table_name"], row["n_rows"], 0.0, (
            f"{label}: {wording.count(int(row['n_rows']), 'row')} in quarantine because {row['reason']}: correct them "
            "in their source and load it again."
        ))  # fmt: skip
    for row in stock.to_dict("records"):
        if not row["days"] or not row["receipts_known"]:
            continue
        off = min(row["off_evening"], row["off_morning"]) / row["days"]
        if off > STOCK_SHARE:
            say(2, "Stock does not add up", "inventory_daily", off, 0.0, product_category=row["product_category"],
                sentence=(
                f"Stock of {row['product_category']} is not yesterday's less sales plus receipts on "
                f"{wording.percent(off)} of its days: receipts, write-offs or counts are missing."
            ))  # fmt: skip
    columns = ["severity", "what", "table_name", *NAMES, "value", "units", "sentence"]
    frame = _together(pd.DataFrame(found, columns=[*columns, "same"]))[columns]
    return frame.sort_values(["severity", "units"], ascending=[False, False], kind="stable").reset_index(drop=True)


MANY = 3  # series with the same problem; more are told in one line
_TOGETHER = {  # the sentence of many series with the same problem; {days}: of each
    "Late": "{who} have no rows for the last {days} while others have: ask for the missing feed, or load zeros where "
    "nothing was sold.",
    "Ended": "{who} ended {days} before the newest sales. If they are sold again, their rows are missing.",
    "Gaps": "{who} lack {days} each between their first and last: load them, with 0 where nothing was sold; a gap is "
    "treated as unknown.",
    "Mostly zero": "{who} sell on few of their days: trust their weeks more than their days.",
    "Prices missing": "{who} have days with sales but no price or revenue, so their money is incomplete: load "
    "unit_price or sales_revenue.",
    "Short history": "{who} have {days} each, less than a year: their seasons are borrowed from their kind.",
}


def _together(found: pd.DataFrame) -> pd.DataFrame:
    """Equal problems of many series as one row: how many there are, and the biggest as examples."""
    named = (found["product_category"] != "") & found["what"].isin(list(_TOGETHER))
    rows = [found[~named]]
    for (severity, what, table, days), same in found[named].groupby(["severity", "what", "table_name", "same"]):
        if len(same) <= MANY:
            rows.append(same)
            continue
        same = same.sort_values("units", ascending=False, kind="stable")
        first = ", ".join(series_name(row) for row in same[NAMES].head(MANY).to_dict("records"))
        who = f"{wording.count(len(same), 'series', 'series')} ({first} and others)"
        said = _TOGETHER[what].format(who=who, days=wording.count(int(days), "day"))
        row = {name: same[name].iloc[0] if same[name].nunique() == 1 else "" for name in NAMES}
        row |= {"severity": severity, "what": what, "table_name": table, "value": same["value"].iloc[0]}
        rows.append(pd.DataFrame([row | {"units": same["units"].sum(), "sentence": said}]))
    return pd.concat(rows, ignore_index=True)


def series_name(names: dict[str, str]) -> str:
    """'Electronics in North', 'Electronics in HE, store 12'."""
    place = ", ".join(part for part in (names["region"], f"store {names['store']}" if names["store"] else "") if part)
    return f"{names['product_category']} in {place}" if place else names["product_category"]


def finding(series: pd.DataFrame, found: pd.DataFrame) -> str:
    """The sentence above it all."""
    if series.empty:
        return "No sales are loaded yet."
    worst = found[found["severity"] >= 2]
    checked = f"{wording.count(len(series), 'series', 'series')} checked"
    if worst.empty:
        missing = int(series["missing_days"].sum())
        gaps = f"{wording.count(missing, 'day')} missing in all, too few to matter" if missing else "no day is missing"
        return f"{checked}, nothing needs you: {gaps}, no feed is late and no row was refused."
    fix = int((worst["severity"] == 3).sum())
    first = worst["sentence"].iloc[0]
    lead = f"{wording.count(fix, 'thing')} to fix" if fix else f"{wording.count(len(worst), 'thing')} to look at"
    return f"{checked}, {lead}. First: {first}"
