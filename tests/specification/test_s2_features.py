"""S2: the feature set. What the columns hold is compared with a slow truth in tests/store/test_features.py."""

from __future__ import annotations

from datetime import date

import pandas as pd

from trendcast.services.load import load_frames
from trendcast.store.engine import Database

COLUMNS = [
    "date_id", "product_category", "region", "sales_units", "sales_revenue", "promotion_flag", "sales_lag_1",
    "sales_lag_7", "sales_lag_14", "rolling_avg_7d", "rolling_avg_30d", "rolling_std_14d", "week_over_week_change",
    "is_weekend", "month_num", "quarter_num", "economic_index", "competitor_promotion_intensity", "seasonal_events",
    "social_media_mentions", "stock_level", "stockout_flag", "seasonal_sin", "seasonal_cos", "major_holiday_flag",
]  # fmt: skip


def sales(days: pd.DatetimeIndex, units: list[float], category: str = "A", region: str = "N") -> pd.DataFrame:
    return pd.DataFrame({"date_id": days, "product_category": category, "region": region, "sales_units": units})


def test_s2_columns_and_their_order(db: Database) -> None:
    assert list(db.frame("feature_rows", categories=[], regions=[]).columns)[: len(COLUMNS)] == COLUMNS


def test_s2_one_row_per_category_region_and_day_in_order(db: Database) -> None:
    days = pd.date_range("2024-01-01", periods=3)
    frames = pd.concat([sales(days, [1, 2, 3], c, r) for c in "BA" for r in ("S", "N")])
    twice = pd.DataFrame({"date_id": [date(2024, 1, 1)] * 2, "region": ["", "N"], "event": ["Fair", "Market"]})
    load_frames(db, {"sales_daily": frames, "events": twice}, source="specification")
    rows = db.frame("feature_rows", categories=[], regions=[])
    keys = list(zip(rows["product_category"], rows["region"], rows["date_id"], strict=True))
    assert keys == sorted(set(keys))
    assert len(keys) == 12


def test_s2_lags_are_days_not_rows(db: Database) -> None:
    """As written a lag of 7 was the seventh row before; after a gap that is another weekday."""
    days = pd.date_range("2024-01-01", periods=20).delete([8, 9])
    load_frames(db, {"sales_daily": sales(days, [float(day.day) for day in days])}, source="specification")
    rows = db.frame("feature_rows", categories=["A"], regions=["N"]).set_index("date_id")
    assert rows.loc["2024-01-15", "sales_lag_7"] == 8
    assert pd.isna(rows.loc["2024-01-16", "sales_lag_7"])
    assert pd.isna(rows.loc["2024-01-11", "sales_lag_1"])
    assert rows.loc["2024-01-11", "rolling_avg_7d"] == (5 + 6 + 7 + 8 + 11) / 5


def test_s2_features_for_models_leave_the_day_out(db: Database) -> None:
    days = pd.date_range("2024-01-01", periods=9)
    load_frames(db, {"sales_daily": sales(days, [1.0] * 8 + [100.0])}, source="specification")
    last = db.rows("feature_rows", categories=["A"], regions=["N"])[-1]
    assert last["rolling_avg_7d"] > 10
    assert last["rolling_avg_7d_before"] == 1
    assert last["rolling_std_14d_before"] == 0
    assert last["week_over_week_change"] == 99
    assert last["week_over_week_change_before"] == 0


def test_s2_major_holidays(db: Database) -> None:
    days = pd.date_range("2024-11-28", periods=3)
    market = pd.DataFrame(
        {"date_id": days, "seasonal_events": ["Thanksgiving", "Black Friday", "Early Christmas sale"]}
    )
    load_frames(db, {"sales_daily": sales(days, [1, 1, 1]), "market_factors": market}, source="specification")
    rows = db.frame("feature_rows", categories=["A"], regions=["N"])
    assert rows["major_holiday_flag"].tolist() == [0, 1, 1]
    assert rows["is_weekend"].tolist() == [0, 0, 1]
    assert rows["quarter_num"].tolist() == [4, 4, 4]
