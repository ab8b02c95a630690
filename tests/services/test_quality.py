"""Quality of the data: what is missing, late or does not add up is found, and what is as it should be is not."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from trendcast.services import quality
from trendcast.services.load import load_frames

DAYS = pd.date_range("2025-01-01", "2026-03-01")


def now() -> dt.datetime:
    return dt.datetime(2026, 3, 3, tzinfo=dt.UTC)


def rows(category: str, days=DAYS, **facts) -> pd.DataFrame:
    frame = pd.DataFrame({"date_id": days, "product_category": category, "region": "North", "sales_units": 10.0})
    return frame.assign(unit_price=2.0).assign(**facts)


def by_hand(have: set[dt.date], first: dt.date, last: dt.date) -> int:
    """Days without a row between first and last, on weekdays that have rows on more than a tenth of them."""
    every = [first + dt.timedelta(days=i) for i in range((last - first).days + 1)]
    missing = 0
    for weekday in range(7):
        due = [day for day in every if day.weekday() == weekday]
        there = [day for day in due if day in have]
        if len(there) > 0.1 * len(due):
            missing += len(due) - len(there)
    return missing


@pytest.fixture(scope="module")
def random_days() -> pd.DatetimeIndex:
    keep = np.random.default_rng(5).random(len(DAYS)) > 0.15
    keep[[0, -1]] = True
    return DAYS[keep & (DAYS.day_of_week != 6)]


def test_everything_that_is_wrong_is_told_and_nothing_else(db, random_days):
    sales = pd.concat(
        [
            rows("Fine"),
            rows("Sundays off", DAYS[DAYS.day_of_week != 6]),
            rows("Gaps", random_days),
            rows("Late", DAYS[:-6]),
            rows("Ended", DAYS[:-80]),
            rows("Zeros", sales_units=np.where(np.arange(len(DAYS)) % 4 == 0, 5.0, 0.0)),
            rows("Unpriced", unit_price=np.where(np.arange(len(DAYS)) % 2 == 0, 2.0, np.nan)),
            rows("Closed", sales_units=0.0, open_flag=False).assign(
                sales_units=np.where(np.arange(len(DAYS)) % 9 == 0, 8.0, 0.0), open_flag=np.arange(len(DAYS)) % 9 == 0
            ),
        ]
    )
    twice = rows("Fine", DAYS[:2], sales_units=11.0)
    load_frames(db, {"sales_daily": pd.concat([sales, twice])}, source="test", accept=True, clock=now)
    found = quality.quality(db)
    series = found.series.set_index("product_category")
    gaps = series.loc["Gaps"]
    assert gaps["missing_days"] == by_hand({d.date() for d in random_days}, gaps["first_day"], gaps["last_day"])
    assert series.loc["Sundays off", "missing_days"] == 0
    assert series.loc["Zeros", "zero_share"] == pytest.approx((np.arange(len(DAYS)) % 4 != 0).mean())
    assert series.loc["Closed", "zero_share"] == 0
    assert series.loc["Unpriced", "priced_share"] == pytest.approx((np.arange(len(DAYS)) % 2 == 0).mean())
    assert series.loc["Late", "late_days"] == 6
    told = {(row.product_category, row.what) for row in found.issues.itertuples()}
    assert told == {
        ("Gaps", "Gaps"),
        ("Late", "Late"),
        ("Ended", "Ended"),
        ("Zeros", "Mostly zero"),
        ("Unpriced", "Prices missing"),
        ("", "Duplicates"),
    }
    assert found.issues["severity"].is_monotonic_decreasing
    assert set(found.issues.loc[found.issues["severity"] == 3, "product_category"]) == {"Late", "Gaps"}
    assert found.finding.startswith("8\u202fseries checked, 2\u202fthings to fix. First: ")


def test_one_gap_of_many_series_is_one_line(db):
    gap = DAYS[~((DAYS >= "2025-06-01") & (DAYS < "2025-07-01"))]
    sales = [rows(f"C{i}", gap, sales_units=10.0 + i) for i in range(6)]
    load_frames(db, {"sales_daily": pd.concat([*sales, rows("Fine")])}, source="test", accept=True, clock=now)
    found = quality.quality(db)
    gaps = found.issues[found.issues["what"] == "Gaps"]
    assert [one.replace("\u202f", " ") for one in gaps["sentence"]] == [
        "6 series (C5 in North, C4 in North, C3 in North and others) lack 30 days each between their first and last: "
        "load them, with 0 where nothing was sold; a gap is treated as unknown."
    ]
    assert gaps["region"].tolist() == ["North"]
    assert "1\u202fthing" in found.finding


def test_without_any_price_it_says_so_once(db):
    load_frames(db, {"sales_daily": rows("A").drop(columns="unit_price")}, source="test", clock=now)
    issues = quality.quality(db).issues
    assert [row.sentence for row in issues.itertuples() if row.what == "Prices missing"] == [
        "The sales have no prices and no revenue, so nothing can be ranked by money: load unit_price or sales_revenue."
    ]


def test_an_empty_database_has_nothing_to_tell(db):
    found = quality.quality(db)
    assert found.finding == "No sales are loaded yet."
    assert found.issues.empty


@pytest.mark.parametrize("evening", [True, False])
@pytest.mark.parametrize("lost", [0, 40])
def test_stock_that_is_not_yesterdays_less_sales_plus_receipts_is_found(db, evening, lost):
    """Counted in the evening or in the morning, with a delivery every ten days; ``lost``: days on which 50 vanish."""
    stock, level = [], 500.0
    for i, day in enumerate(DAYS[-150:]):
        received = 100.0 if i % 10 == 0 else 0.0
        before = level
        level = level + received - 10.0 - (50.0 if 0 < i <= lost else 0.0)
        stock.append((day, "A", level if evening else before))
    frames = {
        "sales_daily": rows("A"),
        "inventory_daily": pd.DataFrame(stock, columns=["date_id", "product_category", "stock_level"]),
        "purchase_orders": pd.DataFrame(
            {
                "po_id": [f"P{i}" for i in range(15)],
                "product_category": "A",
                "quantity": 100.0,
                "received_on": DAYS[-150::10],
                "received_quantity": 100.0,
            }
        ),
    }
    load_frames(db, frames, source="test", clock=now)
    told = [row.sentence for row in quality.quality(db).issues.itertuples() if row.what == "Stock does not add up"]
    assert bool(told) == bool(lost)
    if told:
        assert "27\u202f%" in told[0]  # 40 of 149
