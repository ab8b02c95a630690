"""The generated retailer: the same arguments give the same rows, they load clean, and the truth behind them is true."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from trendcast.demo import AHEAD, generate, truth
from trendcast.services.load import load_frames
from trendcast.store.engine import Database

END = date(2026, 6, 30)


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    return generate(6, 4, 0, 3, END, seed=7)


def test_the_same_seed_gives_the_same_retailer(frames: dict[str, pd.DataFrame]) -> None:
    again = generate(6, 4, 0, 3, END, seed=7)
    other = generate(6, 4, 0, 3, END, seed=8)
    for name, frame in frames.items():
        pd.testing.assert_frame_equal(frame, again[name])
    assert not frames["sales_daily"]["sales_units"].equals(other["sales_daily"]["sales_units"])


def test_names_and_reach(frames: dict[str, pd.DataFrame]) -> None:
    sales, plan = frames["sales_daily"], frames["plan_daily"]
    assert list(sales["product_category"].unique()[:3]) == ["Electronics", "Clothing", "Home & Garden"]
    assert list(sales["region"].unique()) == ["North", "South", "East", "West"]
    assert sales["date_id"].max() == pd.Timestamp(END)
    assert len(sales) == 6 * 4 * 3 * 365
    assert plan["date_id"].min() == pd.Timestamp(END) + pd.Timedelta(days=1)
    assert plan["date_id"].nunique() == AHEAD


def test_stores_belong_to_one_region() -> None:
    sales = generate(2, 3, 4, 1, END)["sales_daily"]
    assert sales["store"].nunique() == 12
    assert (sales.groupby("store", observed=True)["region"].nunique() == 1).all()


def test_it_loads_without_a_refused_row(db: Database, frames: dict[str, pd.DataFrame]) -> None:
    summary = load_frames(db, frames, source="demo", clock=lambda: datetime(2026, 7, 1, tzinfo=UTC))
    assert [(table.table, table.refused, table.repeated) for table in summary.tables] == [
        (table.table, 0, 0) for table in summary.tables
    ]
    assert summary.table("sales_daily").new == len(frames["sales_daily"])


def test_the_truth_behind_the_rows(frames: dict[str, pd.DataFrame]) -> None:
    hidden = truth(6, 4, 0, 3, END, seed=7)
    sales = frames["sales_daily"]
    demand = sales["sales_units"] + hidden["lost_units"]
    assert (hidden["lost_units"] >= 0).all()
    assert demand.sum() == pytest.approx(hidden["expected_units"].sum(), rel=0.01)
    promoted = sales["promotion_flag"].to_numpy()
    assert (hidden["promotion_lift"][promoted] > 1.1).all()
    assert (hidden["promotion_lift"][~promoted] == 1).all()
    stock = frames["inventory_daily"]
    out = stock[stock["stockout_flag"]][["product_category", "date_id"]]
    lost = sales[hidden["lost_units"] > 0][["product_category", "date_id"]].drop_duplicates()
    assert len(lost.merge(out)) == len(lost)


def test_weeks_years_and_closed_days_show(frames: dict[str, pd.DataFrame]) -> None:
    sales = frames["sales_daily"]
    by_weekday = sales.groupby(sales["date_id"].dt.day_of_week)["sales_units"].mean()
    assert by_weekday[5] > 1.15 * by_weekday[1]
    christmas = (sales["date_id"].dt.month == 12) & (sales["date_id"].dt.day == 25)
    assert (sales["sales_units"][christmas] == 0).all()
    assert not sales["open_flag"][christmas].any()
    electronics = (
        sales[sales["product_category"] == "Electronics"].groupby(sales["date_id"].dt.month)["sales_units"].mean()
    )
    assert electronics[12] > 1.3 * electronics[6]
    daily = sales["sales_units"].to_numpy().reshape(24, -1)
    assert np.isfinite(daily).all()
