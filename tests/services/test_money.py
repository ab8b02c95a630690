"""Money adds up at every level, on every day, and is the same on pages, in REST and in what is exported."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from trendcast.export import tables
from trendcast.panel import Hierarchy, Panel
from trendcast.services import findings, forecast, listing, money
from trendcast.services.forecast import Selection
from trendcast.ui import measures


@pytest.fixture(scope="module")
def run(demo_db):
    return forecast.current_run(demo_db)


@pytest.fixture(scope="module")
def index(demo_db, run):
    return forecast.series_index(demo_db, run.id)


def ids(index, level):
    return index.loc[index["level"] == level, "series_id"].astype(int).tolist()


def test_forecast_money_of_every_level_adds_up_to_the_total_each_day_and_week(demo_db, run, index):
    for read in (forecast.forecast_daily, forecast.forecast_weekly):
        total = read(demo_db, run.id, ids(index, "total"))["money"].to_numpy()
        assert (total > 0).mean() > 0.9  # closed on Christmas Day
        for level in index["level"].unique():
            assert read(demo_db, run.id, ids(index, level))["money"].to_numpy() == pytest.approx(total, rel=1e-12)


def test_a_week_in_money_is_its_seven_days(demo_db, run, index):
    one = ids(index, "region")[:1]
    daily = forecast.forecast_daily(demo_db, run.id, one).set_index("date_id")["money"]
    for row in forecast.forecast_weekly(demo_db, run.id, one).itertuples():
        assert row.money == pytest.approx(daily.loc[row.week : row.week + pd.Timedelta(6, "D")].sum())


def test_a_planned_price_is_the_price_of_its_day(demo_db, run, index):
    """The demo retailer plans its prices: each bottom day is its mean at that day's price."""
    row = index[index["level"] == "category_region"].iloc[0]
    daily = forecast.forecast_daily(demo_db, run.id, [int(row["series_id"])]).set_index("date_id")
    with demo_db.read() as connection:
        planned = dict(
            connection.execute(
                text("SELECT date_id, unit_price FROM plan_daily WHERE product_category = :c AND region = :r"),
                {"c": row["product_category"], "r": row["region"]},
            ).all()
        )
    assert len(set(planned.values())) > 1
    compared = 0
    for day, stored in daily.iterrows():
        if planned.get(day.date()) is not None:
            assert stored["money"] == pytest.approx(stored["mean"] * planned[day.date()], rel=1e-6)
            compared += 1
    assert compared > 30


def test_money_of_the_past_is_what_was_loaded_and_adds_up(demo_db, run, index):
    with demo_db.read() as connection:
        rows = connection.execute(
            text("SELECT date_id, sum(sales_units * unit_price) FROM sales_daily GROUP BY 1 ORDER BY 1")
        ).all()
    loaded = np.array([value for _, value in rows], float)
    for level in index["level"].unique():
        history = forecast.history_daily(demo_db, run, ids(index, level))
        assert history["revenue"].to_numpy() == pytest.approx(loaded, rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("level", ["total", "category"])
@pytest.mark.parametrize("grain", ["day", "week"])
def test_page_rest_and_export_say_the_same(demo_db, run, index, level, grain):
    chosen = ids(index, level)
    grid = measures.grid(
        forecast.history_daily(demo_db, run, chosen),
        forecast.forecast_daily(demo_db, run.id, chosen),
        forecast.forecast_weekly(demo_db, run.id, chosen),
        forecast.last_week_forecast(demo_db, run.id, chosen),
        last_day=pd.Timestamp(run.last_day),
        grain=grain,
        unit="money",
    )
    page = grid.set_index("date")
    rest = listing.forecast_rows(demo_db, run, index, Selection(level), weekly=grain == "week", money=True, limit=1000)
    sums = pd.DataFrame(rest.rows).groupby("date")[["mean", "q10", "q90"]].sum()
    exported = list(csv.reader(io.StringIO(tables.csv(measures.export(grid, grain, "money")).decode("utf-8-sig"))))
    column = exported[0].index("Forecast, mean (money)")
    written = {line[0]: line[column] for line in exported[1:]}
    for day, row in sums.iterrows():
        assert page.loc[pd.Timestamp(day), "mean"] == pytest.approx(row["mean"])
        assert float(written[str(day)]) == pytest.approx(row["mean"], abs=1e-5)
        if len(chosen) == 1:
            assert page.loc[pd.Timestamp(day), ["low80", "high80"]].tolist() == pytest.approx([row["q10"], row["q90"]])


def test_the_finding_of_several_series_speaks_of_their_sum(demo_db, run, index):
    whole = findings.finding(demo_db, run, Selection("total"), "money")
    parts = findings.finding(demo_db, run, Selection("category_region"), "money")
    assert whole.split(":")[1].split(",")[0] == parts.split(":")[1].split(",")[0]


def test_without_any_price_the_finding_does_not_say_that_nothing_is_sold(demo_db, run, monkeypatch):
    read = forecast.forecast_weekly
    monkeypatch.setattr(forecast, "forecast_weekly", lambda *asked: read(*asked).assign(money=np.nan))
    assert findings.finding(demo_db, run, Selection("total"), "money").endswith("nothing can be said in money.")


def panel():
    """Two categories of one region, ten days behind and four ahead; the second is never priced."""
    dates = pd.date_range("2026-03-02", periods=10)
    sales = pd.concat(
        pd.DataFrame(
            {
                "date_id": dates,
                "product_category": name,
                "region": "North",
                "store": "",
                "sales_units": np.arange(10.0),
                "unit_price": price,
            }
        )
        for name, price in (("A", np.where(np.arange(10) < 5, 2.0, 4.0)), ("B", np.full(10, np.nan)))
    )
    plan = pd.DataFrame(
        {"date_id": [dates[-1] + pd.Timedelta(2, "D")], "product_category": "A", "region": "North", "unit_price": 3.0}
    )
    return Panel.from_frames(sales, plan=plan, ahead=4)


def test_what_has_no_price_counts_for_nothing():
    bottom = panel()
    hierarchy = Hierarchy.of(bottom.series)
    means = np.full((2, 4), 10.0)
    found = money.ahead(bottom, means, hierarchy.summing)
    recent = (2 * (1 + 2 + 3 + 4) + 4 * (5 + 6 + 7 + 8 + 9)) / 45
    expected = [10 * recent, 30.0, 10 * recent, 10 * recent]
    assert found[0] == pytest.approx(expected, rel=1e-6)  # the total
    assert found[-2] == pytest.approx(expected, rel=1e-6)
    assert np.isnan(found[-1]).all()
    past = money.past(bottom)
    assert past[0].tolist() == [0, 2, 4, 6, 8, 20, 24, 28, 32, 36]
    assert past[1, 0] == 0  # nothing sold is no money, at any price
    assert np.isnan(past[1, 1:]).all()
