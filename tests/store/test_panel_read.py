"""The facts in the database become the panel of the same tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trendcast.errors import InvalidInput
from trendcast.panel import Panel
from trendcast.store.engine import Database
from trendcast.store.panel import read_panel

TABLES = {
    "sales_daily": ["date_id", "product_category", "region", "store", "sales_units", "sales_revenue", "promotion_flag",
                    "open_flag", "unit_price"],
    "events": ["date_id", "region", "event"],
    "plan_daily": ["date_id", "product_category", "region", "store", "promotion_flag", "open_flag", "unit_price"],
    "inventory_daily": ["date_id", "product_category", "stock_level", "stockout_flag"],
    "market_factors": ["date_id", "seasonal_events"],
}  # fmt: skip


def fill(db: Database, **tables: pd.DataFrame) -> None:
    """Rows as a load would leave them, without its checks."""
    with db.transaction() as connection:
        batch = connection.exec_driver_sql(
            "INSERT INTO load_batch (source, table_name, status) VALUES ('test', 'all', 'merged') RETURNING id"
        ).scalar_one()
        for name, frame in tables.items():
            columns = [column for column in TABLES[name] if column in frame]
            rows = frame[columns].assign(batch_id=batch)
            db.copy_in(connection, f"trendcast.{name}", [*columns, "batch_id"], rows)


def sales(days: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    rows = [
        {"date_id": date, "product_category": category, "region": region, "store": store}
        for date in pd.date_range("2024-02-01", periods=days)
        for category, region, store in [("tea", "N", "n1"), ("tea", "S", "s1"), ("üß, \"%_'", "N", "n1")]
    ]
    frame = pd.DataFrame(rows)
    frame["sales_units"] = rng.integers(0, 50, len(frame)).astype(float)
    frame["sales_revenue"] = np.where(rng.random(len(frame)) < 0.8, frame["sales_units"] * 2.5, np.nan)
    frame["promotion_flag"] = pd.array(rng.random(len(frame)) < 0.3, dtype="boolean")
    frame["open_flag"] = pd.array([pd.NA if r < 0.5 else True for r in rng.random(len(frame))], dtype="boolean")
    return frame


def test_the_panel_of_the_database_is_the_panel_of_its_tables(db: Database) -> None:
    facts = sales()
    day = pd.Timestamp("2024-03-20")
    events = pd.DataFrame({"date_id": [day, day], "region": ["", "S"], "event": ["Fair", "Local day"]})
    plan = pd.DataFrame(
        {"date_id": [day, day], "product_category": "tea", "region": ["N", "S"], "store": ["n1", "s1"],
         "promotion_flag": pd.array([True, False], dtype="boolean"),
         "open_flag": pd.array([pd.NA, False], dtype="boolean"),
         "unit_price": [np.nan, 3.0]}
    )  # fmt: skip
    stock = pd.DataFrame(
        {"date_id": pd.to_datetime(["2024-02-03", "2024-02-04"]), "product_category": "tea", "stock_level": [0.0, 5.0],
         "stockout_flag": pd.array([True, False], dtype="boolean")}
    )  # fmt: skip
    fill(db, sales_daily=facts, events=events, plan_daily=plan, inventory_daily=stock)
    with db.read() as connection:
        got = read_panel(db, connection, ahead=30)
    want = Panel.from_frames(facts, events, plan, stock, ahead=30)
    pd.testing.assert_frame_equal(got.series, want.series)
    assert (got.first_day, got.history, got.events.names) == (want.first_day, want.history, want.events.names)
    for name in ("units", "open", "promotion", "price", "stockout", "opening"):
        np.testing.assert_array_equal(getattr(got, name), getattr(want, name), err_msg=name)
    np.testing.assert_array_equal(got.events.indicator, want.events.indicator)


def test_what_market_factors_names_is_an_event_everywhere(db: Database) -> None:
    dates = pd.to_datetime(["2024-02-10", "2024-02-11", "2024-02-12"])
    factors = pd.DataFrame({"date_id": dates, "seasonal_events": ["Carnival", "None", " "]})
    fill(db, sales_daily=sales(), market_factors=factors)
    with db.read() as connection:
        panel = read_panel(db, connection)
    assert panel.events.names == ["Carnival"]
    assert panel.events.indicator[:, 0].sum(axis=1).tolist() == [1, 1, 1]


def test_the_history_can_end_on_an_earlier_day(db: Database) -> None:
    fill(db, sales_daily=sales(40))
    with db.read() as connection:
        panel = read_panel(db, connection, ahead=7, last_day=pd.Timestamp("2024-02-20").date())
    assert (str(panel.last_day), panel.history, panel.days) == ("2024-02-20", 20, 27)
    assert np.isnan(panel.units[:, 20:]).all()


def test_no_sales_is_said_in_a_sentence(db: Database) -> None:
    with db.read() as connection, pytest.raises(InvalidInput, match="no sales"):
        read_panel(db, connection)
