"""S8: stores are series of their own and add up exactly; several models speak; what drives demand is learnt."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from trendcast.forecasting.members import MEMBERS
from trendcast.services import forecast
from trendcast.services import jobs as job_service
from trendcast.services.load import load_frames
from trendcast.services.progress import silent
from trendcast.services.refresh import refresh
from trendcast.store import jobs
from trendcast.store.engine import Database


@pytest.fixture(scope="module")
def forecasts(demo_db: Database) -> pd.DataFrame:
    run = forecast.current_run(demo_db)
    index = forecast.series_index(demo_db, run.id)
    daily = demo_db.frame("forecast_daily", run_id=run.id, series_ids=index["series_id"].tolist())
    return daily.merge(index[["series_id", "level", "product_category", "region", "store"]], on="series_id")


def test_s8_forecasts_add_up_exactly_over_regions_and_categories(forecasts: pd.DataFrame) -> None:
    by_level = {level: rows.groupby("date_id")["mean"].sum() for level, rows in forecasts.groupby("level")}
    for level, sums in by_level.items():
        assert sums.to_numpy() == pytest.approx(by_level["total"].to_numpy(), rel=1e-9), level
    cells = forecasts[forecasts["level"] == "category_region"]
    north = cells[cells["region"] == "North"].groupby("date_id")["mean"].sum()
    region = forecasts[(forecasts["level"] == "region") & (forecasts["region"] == "North")].set_index("date_id")["mean"]
    assert north.to_numpy() == pytest.approx(region.to_numpy(), rel=1e-9)


def test_s8_stores_are_forecast_each_and_roll_up_to_regions_and_all(db: Database) -> None:
    rng = np.random.default_rng(2)
    days = pd.date_range("2025-01-01", date(2026, 3, 31))
    rows = [
        pd.DataFrame(
            {
                "date_id": days, "product_category": "A", "region": "NS"[number % 2], "store": f"S{number}",
                "sales_units": rng.poisson(20 + 5 * number, len(days)),
            }
        )
        for number in range(4)
    ]  # fmt: skip
    load_frames(db, {"sales_daily": pd.concat(rows)}, source="specification")
    claim = jobs.claim(db, slot_id=job_service.enqueue(db, "refresh"))
    assert claim is not None
    made = refresh(db, lambda: datetime.now(UTC), silent, claim.token, members=("structural", "naive7"))
    index = forecast.series_index(db, made["run_id"])
    assert set(index.loc[index["level"] == "category_store", "store"]) == {"S0", "S1", "S2", "S3"}
    daily = db.frame("forecast_daily", run_id=made["run_id"], series_ids=index["series_id"].tolist())
    daily = daily.merge(index, on="series_id")
    stores = daily[daily["level"] == "store"]
    by_region = stores.groupby(["region", "date_id"])["mean"].sum()
    regions = daily[daily["level"] == "region"].set_index(["region", "date_id"])["mean"].sort_index()
    assert by_region.to_numpy() == pytest.approx(regions.to_numpy(), rel=1e-9)
    total = daily[daily["level"] == "total"].set_index("date_id")["mean"]
    assert stores.groupby("date_id")["mean"].sum().to_numpy() == pytest.approx(total.to_numpy(), rel=1e-9)


def test_s8_two_hundred_stores_roll_up_exactly(db: Database) -> None:
    rng = np.random.default_rng(3)
    days = pd.date_range("2026-01-01", date(2026, 4, 30))
    names = np.array([f"S{number:03d}" for number in range(204)])
    sales = pd.MultiIndex.from_product([days, names], names=["date_id", "store"]).to_frame(index=False)
    sales["region"] = np.array(["N", "E", "S", "W"])[sales["store"].str[1:].astype(int) % 4]
    sales["product_category"], sales["sales_units"] = "A", rng.poisson(20, len(sales))
    load_frames(db, {"sales_daily": sales}, source="specification")
    claim = jobs.claim(db, slot_id=job_service.enqueue(db, "refresh"))
    assert claim is not None
    made = refresh(db, lambda: datetime.now(UTC), silent, claim.token, members=("naive7",))
    index = forecast.series_index(db, made["run_id"])
    assert (index["level"] == "store").sum() == 204
    daily = db.frame("forecast_daily", run_id=made["run_id"], series_ids=index["series_id"].tolist())
    daily = daily.merge(index, on="series_id")
    stores = daily[daily["level"] == "store"]
    for level, keys in (("region", ["region", "date_id"]), ("total", ["date_id"])):
        above = daily[daily["level"] == level].groupby(keys)["mean"].sum()
        assert len(above) == made["levels"][level] * 91
        assert stores.groupby(keys)["mean"].sum().to_numpy() == pytest.approx(above.to_numpy(), rel=1e-9)


def test_s8_drivers_are_learnt_with_the_gain_each_was_measured_to_have(demo_db: Database) -> None:
    run = forecast.current_run(demo_db)
    ids = forecast.series_index(demo_db, run.id)["series_id"].tolist()
    rows = demo_db.rows("driver_effects", run_id=run.id, series_ids=ids)
    assert len(rows) == len(ids)
    total = rows[0]["drivers"]["known"]
    assert {"promotion", "price", "weather:rain", "economic_index", "social_media_mentions"} <= set(total)
    assert total["promotion"]["sure"]
    assert total["promotion"]["effect"] > 0.1, "promotions raise the made-up retailer's sales"
    assert total["promotion"]["gain"] > 0
    assert total["price"]["effect"] < 0, "and dearer goods sell less"
    assert all(np.isfinite(one["gain"]) for one in total.values())


def test_s8_an_ensemble_with_arima_and_a_model_of_prophets_class(demo_db: Database) -> None:
    assert {"structural", "arima"} <= {member.name for member in MEMBERS}
    run = forecast.current_run(demo_db)
    assert {"structural", "arima"} <= set(run.summary["members"])
    row = demo_db.rows("run_series_arrays", run_id=run.id, series_ids=[1])[0]
    assert sum(row["weights"].values()) == pytest.approx(1, abs=0.01)
    assert len(row["weights"]) >= 4
