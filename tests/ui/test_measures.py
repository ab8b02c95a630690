"""The measures of a selection over time, against a loop over days."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from trendcast.ui import measures


def make(last: str, days: int = 800, seed: int = 1, unit: str = "units"):
    """History to ``last`` and a forecast of 91 days with whole-week bands; returns the inputs and both grids."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range(end=last, periods=days)
    units = rng.gamma(4, 25, days)
    units[rng.random(days) < 0.02] = np.nan
    history = pd.DataFrame(
        {
            "date_id": dates,
            "units": units,
            "revenue": units * 3,
            "promotion": (dates.day < 8).astype(float),
            "open": np.where(dates.day_of_week == 6, 0.0, 1.0),
            "stockout": dates.day == 13,
            "events": np.where(dates.day == 1, "First", ""),
        }
    )
    ahead = pd.date_range(dates[-1] + pd.Timedelta(1, "D"), periods=91)
    daily = pd.DataFrame({"date_id": ahead, "mean": rng.gamma(4, 25, 91)})
    for name, factor in zip(measures.QUANTILES, (0.5, 0.7, 0.98, 1.3, 1.6), strict=True):
        daily[name] = daily["mean"] * factor
    daily["price"] = np.where(daily["date_id"].dt.day_of_week == 2, 1.5, 2.0)
    daily["money"] = daily["mean"] * daily["price"]
    rows = []
    for start in range(91):
        if ahead[start].weekday() == 0 and start + 7 <= 91:
            total = daily["mean"].iloc[start : start + 7].sum()
            rows.append(
                {
                    "week": ahead[start],
                    "mean": total,
                    "q025": total * 0.7,
                    "q10": total * 0.8,
                    "q50": total * 0.99,
                    "q90": total * 1.2,
                    "q975": total * 1.3,
                }
            )
    weekly = pd.DataFrame(rows)
    by_day = daily.set_index("date_id")["money"]
    weekly["money"] = [by_day.loc[week : week + pd.Timedelta(6, "D")].sum() for week in weekly["week"]]
    weekly["price"] = weekly["money"] / weekly["mean"]
    logged = pd.DataFrame(
        {"week": [dates[-1] - pd.Timedelta(dates[-1].weekday() + 7, "D")], "mean": [500.0], "money": [900.0]}
    )
    grids = {
        grain: measures.grid(history, daily, weekly, logged, last_day=dates[-1], grain=grain, unit=unit)
        for grain in ("week", "day")
    }
    return history, daily, weekly, grids


@pytest.mark.parametrize("last", ["2026-09-27", "2026-09-28", "2026-09-30", "2026-10-03"])
def test_weeks_are_the_sums_of_their_seven_days(last):
    history, _, weekly, grids = make(last)
    by_day = dict(zip(history["date_id"], history["units"], strict=True))
    grid = grids["week"].set_index("date")
    for monday, row in grid.iterrows():
        assert monday.weekday() == 0
        days = [monday + pd.Timedelta(i, "D") for i in range(7)]
        if days[-1] <= pd.Timestamp(last) and all(day in by_day for day in days):
            assert row["actual"] == pytest.approx(sum(by_day[d] for d in days if np.isfinite(by_day[d])))
            assert not row["future"]
        else:
            assert np.isnan(row["actual"])
    for row in weekly.itertuples():
        assert grid.loc[row.week, "mean"] == pytest.approx(row.mean)
        assert grid.loc[row.week, "p50"] == pytest.approx(row.q50)


def test_the_running_week_is_what_was_sold_plus_what_is_expected():
    history, daily, _, grids = make("2026-09-30")  # a Wednesday
    row = grids["week"].set_index("date").loc["2026-09-28"]
    sold = history.set_index("date_id")["units"].loc["2026-09-28":"2026-09-30"].sum()
    assert row["mean"] == pytest.approx(sold + daily["mean"].iloc[:4].sum())
    assert np.isnan(row["low80"])
    assert row["days"] == history.set_index("date_id")["units"].loc["2026-09-28":"2026-09-30"].notna().sum()


def test_last_year_is_364_days_before():
    grids = make("2026-09-27")[3]
    for grain in grids:
        actual = grids[grain].set_index("date")["actual"]
        for day, value in grids[grain].set_index("date")["last_year"].items():
            before = actual.get(day - pd.Timedelta(364, "D"), np.nan)
            assert (np.isnan(value) and np.isnan(before)) or value == pytest.approx(before)


def test_money_is_revenue_behind_and_the_stored_money_ahead():
    units, money = make("2026-09-27")[3]["week"], make("2026-09-27", unit="money")[3]["week"]
    past = units["actual"].notna()
    np.testing.assert_allclose(money.loc[past, "actual"], 3 * units.loc[past, "actual"])
    weekly = make("2026-09-27", unit="money")[2].set_index("week")
    ahead = money[money["low95"].notna()].set_index("date")
    np.testing.assert_allclose(ahead["mean"], weekly["money"].reindex(ahead.index))
    np.testing.assert_allclose(ahead["low95"], (weekly["q025"] * weekly["price"]).reindex(ahead.index))
    assert money["as_of_last_week"].dropna().tolist() == [900.0]


def test_a_day_in_money_has_its_own_price():
    _, daily, _, grids = make("2026-09-27", unit="money")
    ahead = grids["day"].set_index("date").loc[daily["date_id"]]
    np.testing.assert_allclose(ahead["mean"], daily["money"])
    np.testing.assert_allclose(ahead["high80"], daily["q90"] * daily["price"])


def test_only_unusual_closings_are_marked():
    grid = make("2026-09-27")[3]["day"]
    assert not grid["closed"].any()  # closed on every Sunday is usual


def test_the_error_is_of_the_forecast_published_a_week_before():
    grid = make("2026-09-30")[3]["week"].set_index("date")
    row = grid.loc["2026-09-21"]
    assert row["as_of_last_week"] == 500.0
    assert row["error"] == pytest.approx((500.0 - row["actual"]) / row["actual"])
    assert grid["error"].notna().sum() == 1


def test_tiles_sum_the_next_and_the_last_twelve_weeks():
    _, _, weekly, grids = make("2026-09-30")
    found = measures.kpis(grids["week"])
    assert found.weeks == 12
    assert found.ahead == pytest.approx(weekly["mean"].head(12).sum())
    actual = grids["week"]["actual"].dropna()
    assert found.before == pytest.approx(actual.tail(12).sum())
    assert found.first_week == pd.Timestamp("2026-10-05")


def test_without_history_there_is_no_comparison():
    grids = make("2026-09-27", days=40)[3]
    found = measures.kpis(grids["week"])
    assert found.last_year is None
    assert found.before is None


def test_the_running_week_says_how_many_of_its_days_are_sold():
    shown = measures.pivot(make("2026-10-03")[3]["week"]).set_index("Measure")  # a Saturday
    assert shown.loc["Actual", "2026-09-28"] == "6 of 7 days"
    assert shown.loc["Forecast, mean", "2026-09-28"] != ""
    assert "of 7" not in shown.loc["Actual", "2026-09-21"]


def test_of_an_old_run_only_the_weeks_are_there():
    history, daily, weekly, _ = make("2026-09-30")
    none = daily.iloc[:0]
    grid = measures.grid(history, none, weekly, weekly.iloc[:0], last_day=pd.Timestamp("2026-09-30"), grain="week")
    ahead = grid[grid["mean"].notna()]
    assert ahead["date"].tolist() == weekly["week"].tolist()  # and no made-up sum of the running week
    np.testing.assert_allclose(ahead["low80"], weekly["q10"])


def test_the_table_leaves_out_rows_without_a_number():
    grid = make("2026-09-27", days=60)[3]["week"]
    shown = measures.pivot(grid)
    assert "Last year" not in set(shown["Measure"])
    assert list(shown.columns)[1] == f"{grid['date'].iloc[0]:%Y-%m-%d}"


def test_the_export_has_a_number_for_each_week_on_view():
    grid = make("2026-09-27")[3]["week"]
    out = measures.export(grid, "week", "units")
    assert len(out) == len(grid)
    assert out["ISO week"].iloc[-1] == "{}-W{:02d}".format(*grid["date"].iloc[-1].isocalendar()[:2])
    assert isinstance(grid["date"].iloc[0].date(), dt.date)
