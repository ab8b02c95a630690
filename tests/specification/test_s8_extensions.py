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
    made = refresh(db, lambda: datetime.now(UTC), lambda *_, **__: None, claim.token, members=("structural", "naive7"))
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


def test_s8_an_ensemble_with_arima_and_a_model_of_prophets_class(demo_db: Database) -> None:
    assert {"structural", "arima"} <= {member.name for member in MEMBERS}
    run = forecast.current_run(demo_db)
    assert {"structural", "arima"} <= set(run.summary["members"])
    row = demo_db.rows("run_series_arrays", run_id=run.id, series_ids=[1])[0]
    assert sum(row["weights"].values()) == pytest.approx(1, abs=0.01)
    assert len(row["weights"]) >= 4
