"""The feature view against a plain Python reading of the specification, on data that trips windows by row."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from trendcast.services.load import load_frames
from trendcast.store.engine import SQL_FOLDER, Database

SPECIFIED = [
    "date_id", "product_category", "region", "sales_units", "sales_revenue", "promotion_flag", "sales_lag_1",
    "sales_lag_7", "sales_lag_14", "rolling_avg_7d", "rolling_avg_30d", "rolling_std_14d", "week_over_week_change",
    "is_weekend", "month_num", "quarter_num", "economic_index", "competitor_promotion_intensity", "seasonal_events",
    "social_media_mentions", "stock_level", "stockout_flag", "seasonal_sin", "seasonal_cos", "major_holiday_flag",
]  # fmt: skip
BEFORE = ["rolling_avg_7d_before", "rolling_avg_30d_before", "rolling_std_14d_before", "week_over_week_change_before"]

FIRST, LAST = date(2022, 1, 15), date(2024, 3, 20)


@pytest.fixture
def frames() -> dict[str, pd.DataFrame]:
    """Two years and a leap day, stores to be summed, gaps of days and of weeks, closed days of zero units."""
    rng = np.random.default_rng(3)
    rows = []
    day = FIRST
    while day <= LAST:
        for category, region, store in [("A", "N", "1"), ("A", "N", "2"), ("A", "S", "3"), ("B", "N", "1")]:
            gap = rng.random() < 0.1 or (category == "B" and date(2023, 5, 1) <= day <= date(2023, 6, 20))
            if not gap:
                units = float(rng.integers(0, 4)) if category == "B" else float(rng.integers(0, 60))
                flag = bool(rng.random() < 0.2) if category == "A" else None
                rows.append((day, category, region, store, units, round(units * 2.5, 2), flag))
        day += timedelta(days=1)
    names = ["date_id", "product_category", "region", "store", "sales_units", "sales_revenue", "promotion_flag"]
    sales = pd.DataFrame(rows, columns=names)
    market = pd.DataFrame(
        {
            "date_id": [date(2023, 12, 25), date(2023, 11, 24), date(2024, 2, 29), date(2023, 7, 4)],
            "economic_index": [101.5, 100.25, None, 99.0],
            "competitor_promotion_intensity": [1.5, None, 2.5, 3.0],
            "seasonal_events": ["Christmas Day", "BLACK FRIDAY sale", None, "Summer fair"],
            "social_media_mentions": [10, 20, 30, None],
        }
    )
    # The same rows twice: the load collapses them, nothing may come twice out of the view.
    market = pd.concat([market, market])
    inventory = pd.DataFrame(
        {
            "date_id": [date(2024, 2, 29), date(2024, 3, 1), date(2024, 2, 29)],
            "product_category": ["A", "A", "B"],
            "stock_level": [12.0, 0.0, 5.0],
            "stockout_flag": [False, True, False],
        }
    )
    events = pd.DataFrame(
        [
            (date(2024, 2, 29), "", "Leap day"),
            (date(2024, 2, 29), "N", "Fair"),
            (date(2024, 2, 29), "N", "Leap day"),
            (date(2023, 12, 25), "", "Not shown, market_factors has a name"),
            (date(2023, 12, 24), "S", "Christmas Eve"),
        ],
        columns=["date_id", "region", "event"],
    )
    return {"sales_daily": sales, "market_factors": market, "inventory_daily": inventory, "events": events}


def slow_truth(frames: dict[str, pd.DataFrame]) -> list[dict[str, object]]:
    """The view's rows by loops over days, from the words of the specification."""
    units: dict[tuple[str, str], dict[date, float]] = defaultdict(dict)
    revenue: dict[tuple[str, str], dict[date, float]] = defaultdict(dict)
    promoted: dict[tuple[str, str], dict[date, bool | None]] = defaultdict(dict)
    for row in frames["sales_daily"].itertuples():
        key, day = (row.product_category, row.region), row.date_id
        units[key][day] = units[key].get(day, 0.0) + row.sales_units
        revenue[key][day] = revenue[key].get(day, 0.0) + row.sales_revenue
        known = promoted[key].get(day)
        promoted[key][day] = known if row.promotion_flag is None else bool(known) or row.promotion_flag
    market = {row.date_id: row for row in frames["market_factors"].itertuples()}
    stock = {(row.product_category, row.date_id): row for row in frames["inventory_daily"].itertuples()}
    last = max(day for series in units.values() for day in series)
    found = []
    for key in sorted(units):
        series = units[key]
        for day in sorted(series):
            if day <= last.replace(year=last.year - 2):
                continue

            def window(first: int, until: int, day: date = day, series: dict[date, float] = series) -> list[float]:
                days = (day - timedelta(days=back) for back in range(first, until + 1))
                return [series[other] for other in days if other in series]

            def lag(back: int, day: date = day, series: dict[date, float] = series) -> float | None:
                return series.get(day - timedelta(days=back))

            def change(now: float | None, before: float | None) -> float | None:
                return None if now is None or not before else (now - before) / before

            mean = lambda values: statistics.fmean(values) if values else None  # noqa: E731
            deviation = lambda values: statistics.stdev(values) if len(values) > 1 else None  # noqa: E731
            factors, held = market.get(day), stock.get((key[0], day))
            names = {
                row.event for row in frames["events"].itertuples() if row.date_id == day and row.region in ("", key[1])
            }
            event = factors.seasonal_events if factors is not None else None
            event = event if isinstance(event, str) else (", ".join(sorted(names)) or None)
            angle = 2 * math.pi * day.timetuple().tm_yday / 365.25
            found.append(
                {
                    "date_id": day,
                    "product_category": key[0],
                    "region": key[1],
                    "sales_units": series[day],
                    "sales_revenue": revenue[key][day],
                    "promotion_flag": promoted[key][day],
                    "sales_lag_1": lag(1),
                    "sales_lag_7": lag(7),
                    "sales_lag_14": lag(14),
                    "rolling_avg_7d": mean(window(0, 6)),
                    "rolling_avg_30d": mean(window(0, 29)),
                    "rolling_std_14d": deviation(window(0, 13)),
                    "week_over_week_change": change(series[day], lag(7)),
                    "is_weekend": int(day.weekday() >= 5),
                    "month_num": day.month,
                    "quarter_num": (day.month + 2) // 3,
                    "economic_index": factors and factors.economic_index,
                    "competitor_promotion_intensity": factors and factors.competitor_promotion_intensity,
                    "seasonal_events": event,
                    "social_media_mentions": factors and factors.social_media_mentions,
                    "stock_level": held and held.stock_level,
                    "stockout_flag": held and held.stockout_flag,
                    "seasonal_sin": math.sin(angle),
                    "seasonal_cos": math.cos(angle),
                    "major_holiday_flag": int(
                        event is not None and any(name in event.lower() for name in ("christmas", "black friday"))
                    ),
                    "rolling_avg_7d_before": mean(window(1, 7)),
                    "rolling_avg_30d_before": mean(window(1, 30)),
                    "rolling_std_14d_before": deviation(window(1, 14)),
                    "week_over_week_change_before": change(lag(1), lag(8)),
                }
            )
    return found


def same(have: object, want: object) -> bool:
    have = None if isinstance(have, float) and math.isnan(have) else have
    want = None if isinstance(want, float) and math.isnan(want) else want
    if have is None or want is None or isinstance(want, str | bool):
        return have == want
    if isinstance(want, int | float):
        return math.isclose(float(have), float(want), rel_tol=1e-9, abs_tol=1e-9)  # type: ignore[arg-type]
    return have == want


def test_view_equals_the_slow_truth(db: Database, frames: dict[str, pd.DataFrame]) -> None:
    load_frames(db, frames, source="test")
    rows = db.rows("feature_rows", categories=[], regions=[])
    truth = slow_truth(frames)
    assert [(r["product_category"], r["region"], r["date_id"]) for r in rows] == [
        (r["product_category"], r["region"], r["date_id"]) for r in truth
    ]
    wrong = [
        (r["product_category"], r["region"], r["date_id"], name, r[name], t[name])
        for r, t in zip(rows, truth, strict=True)
        for name in t
        if not same(r[name], t[name])
    ]
    assert wrong == []
    assert any(r["date_id"] == date(2024, 2, 29) and r["seasonal_events"] == "Fair, Leap day" for r in rows)


def test_columns_are_the_specified_ones_then_those_for_models(db: Database) -> None:
    frame = db.frame("feature_rows", categories=[], regions=[])
    assert list(frame.columns) == SPECIFIED + BEFORE


def test_models_never_see_the_day_itself(db: Database, frames: dict[str, pd.DataFrame]) -> None:
    load_frames(db, frames, source="test")
    before = db.frame("feature_rows", categories=["A"], regions=["S"])
    day = before["date_id"].iloc[-1]
    changed = frames["sales_daily"][
        (frames["sales_daily"]["date_id"] == day.date()) & (frames["sales_daily"]["region"] == "S")
    ].assign(sales_units=9_999.0)
    load_frames(db, {"sales_daily": changed}, source="test")
    after = db.frame("feature_rows", categories=["A"], regions=["S"])
    assert after["sales_units"].iloc[-1] == 9_999
    for name in [*BEFORE, "sales_lag_1", "sales_lag_7", "sales_lag_14"]:
        pd.testing.assert_series_equal(before[name], after[name])
    assert after["rolling_avg_7d"].iloc[-1] > before["rolling_avg_7d"].iloc[-1]


def test_the_last_two_years_of_the_data_not_of_the_clock(db: Database) -> None:
    days = pd.date_range("2010-01-01", "2013-06-30")
    sales = pd.DataFrame({"date_id": days, "product_category": "A", "region": "N", "sales_units": 1.0})
    load_frames(db, {"sales_daily": sales}, source="test")
    frame = db.frame("feature_rows", categories=["A"], regions=["N"])
    assert frame["date_id"].min() == pd.Timestamp("2011-07-01")
    assert frame["date_id"].max() == pd.Timestamp("2013-06-30")


def test_conditions_on_a_series_reach_the_index(db: Database) -> None:
    """Otherwise the windows of all series are computed to show one."""
    days = pd.date_range("2023-01-01", "2023-12-31")
    sales = pd.concat(
        pd.DataFrame({"date_id": days, "product_category": f"C{i}", "region": "N", "sales_units": 1.0})
        for i in range(40)
    )
    load_frames(db, {"sales_daily": sales}, source="test")
    plan = "\n".join(str(row["QUERY PLAN"]) for row in explain(db, "C7"))
    assert "sales_daily_pkey" in plan
    assert "Seq Scan on sales_daily" not in plan


def explain(db: Database, category: str) -> list[dict[str, object]]:
    from sqlalchemy import text

    with db.read() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = on"))
        result = connection.execute(
            text("EXPLAIN SELECT * FROM demand_features WHERE product_category = :c AND region = 'N'"), {"c": category}
        )
        return [dict(row) for row in result.mappings()]


def test_the_file_is_the_view_the_database_has(db: Database) -> None:
    """One source of truth: running sql/features.sql again changes nothing."""
    from sqlalchemy import text

    from trendcast.store.migrate import execute_file

    definition = text("SELECT pg_get_viewdef('demand_features'::regclass) AS d")
    with db.transaction() as connection:
        before = connection.execute(definition).scalar()
        execute_file(connection, SQL_FOLDER / "features.sql")
        assert connection.execute(definition).scalar() == before
