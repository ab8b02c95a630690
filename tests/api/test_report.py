"""POST /forecast: each figure of the report recomputed the slow way from the same run."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

from trendcast.services import findings, forecast, report
from trendcast.services.forecast import Selection
from trendcast.store import runs
from trendcast.store.engine import Database


@pytest.fixture(scope="module")
def run(demo_db: Database) -> forecast.RunInfo:
    return forecast.current_run(demo_db)


@pytest.fixture
def answered(rest: Any) -> dict[str, Any]:
    response = rest.post("/forecast", json={"product_category": "Electronics", "region": "North"})
    assert response.status_code == 200, response.text
    return response.json()["forecast"]


def series_id(demo_db: Database, run: forecast.RunInfo) -> int:
    index = forecast.series_index(demo_db, run.id)
    return int(forecast.resolve(index, Selection("category_region", ("Electronics",), ("North",)))["series_id"].iloc[0])


@pytest.mark.parametrize(("days", "weeks"), [(3, 1), (28, 4), (34, 4), (84, 12), (91, 13)])
def test_errors_are_those_of_the_backtest_as_far_ahead(
    rest: Any, demo_db: Database, run: forecast.RunInfo, days: int, weeks: int
) -> None:
    wanted = {"product_category": "Electronics", "region": "North", "forecast_days": days}
    answered = rest.post("/forecast", json=wanted).json()["forecast"]
    number = series_id(demo_db, run)
    row = demo_db.rows("run_backtest", run_id=run.id, series_ids=[number])[0]
    actual, mean = (runs.unpack_floats(row[name], run.horizon // 7) for name in ("actual", "mean"))
    gaps, shares, truths = [], [], []
    for origin in range(actual.shape[0]):
        for week in range(weeks):
            truth, said = actual[origin, week], mean[origin, week]
            if np.isnan(truth) or np.isnan(said):
                continue
            truths.append(truth)
            gaps.append(abs(said - truth))
            if truth > 0:
                shares.append(abs(said - truth) / truth)
    assert answered["mae"] == pytest.approx(sum(gaps) / len(gaps))
    assert answered["mape"] == pytest.approx(100 * sum(shares) / len(shares))
    assert answered["wape"] == pytest.approx(100 * sum(gaps) / sum(truths))
    if weeks == run.horizon // 7:
        shown = forecast.series_accuracy(demo_db, run.id, [number])
        assert answered["wape"] == pytest.approx(100 * shown["wape"]["combination"]), "the page shows the same"


def test_the_mean_of_a_week_is_seven_days_and_the_extremes_are_weeks(answered: dict[str, Any]) -> None:
    daily = [day["mean"] for day in answered["daily"]]
    assert len(daily) == 84
    assert answered["avg_weekly_forecast"] == pytest.approx(sum(daily) / 12)
    weeks = {week["week"]: week["mean"] for week in answered["weekly"]}
    assert weeks[answered["seasonal_peak"]] == max(weeks.values())
    assert weeks[answered["seasonal_trough"]] == min(weeks.values())
    for name in ("daily", "weekly"):
        for row in answered[name]:
            quantiles = [row[q] for q in ("q025", "q05", "q10", "q25", "q50", "q75", "q90", "q95", "q975")]
            assert quantiles == sorted(quantiles)
            assert quantiles[0] >= 0


def test_the_finding_is_the_sentence_of_the_dashboard(
    answered: dict[str, Any], demo_db: Database, run: forecast.RunInfo
) -> None:
    selection = Selection("category_region", ("Electronics",), ("North",))
    assert answered["finding"] == findings.finding(demo_db, run, selection)


def test_a_shorter_horizon_is_a_part_of_the_longer(rest: Any, answered: dict[str, Any]) -> None:
    shorter = rest.post("/forecast", json={"product_category": "Electronics", "region": "North", "forecast_days": 10})
    report_ = shorter.json()["forecast"]
    assert report_["forecast_horizon"] == "10 days"
    assert report_["daily"] == answered["daily"][:10]
    week = rest.post("/forecast", json={"product_category": "Electronics", "forecast_days": 3}).json()["forecast"]
    assert week["weekly"] == []
    assert week["seasonal_peak"] in {day["date"] for day in week["daily"]}, "no whole week: a day is named"


def test_asking_twice_gives_the_same_report(rest: Any, answered: dict[str, Any]) -> None:
    again = rest.post("/forecast", json={"product_category": "Electronics", "region": "North"}).json()["forecast"]
    assert again == answered


def test_whole_weeks_leave_out_broken_ones() -> None:
    units = np.arange(1.0, 25.0)
    units[9] = np.nan
    # 2026-01-01 is a Thursday: days 4..10 are the first whole week, 11..17 the second; the last five days are none.
    assert report.whole_weeks(units, date(2026, 1, 1)).tolist() == [sum(range(12, 19))]
    assert report.whole_weeks(units, date(2026, 1, 5)).tolist() == [sum(range(1, 8)), sum(range(15, 22))]
    assert report.whole_weeks(np.array([]), date(2026, 1, 5)).tolist() == []


def test_errors_without_sales_have_no_percentage() -> None:
    assert report.errors(np.array([[0.0, np.nan]]), np.array([[2.0, 1.0]])) == {"mae": 2.0, "mape": None, "wape": None}
    assert report.errors(np.empty((0, 13)), np.empty((0, 13))) == {"mae": None, "mape": None, "wape": None}
    assert report.errors(np.array([[0.0, 4.0]]), np.array([[2.0, 3.0]])) == {"mae": 1.5, "mape": 0.25, "wape": 0.75}


@pytest.mark.parametrize(
    ("history", "width", "trend", "tags"),
    [
        (np.full(60, 10.0), 0.2, 0.0, []),
        (np.full(60, 10.0), 0.2, 0.11, ["GROWTH"]),
        (np.full(60, 10.0), 0.2, 0.10, []),
        (np.full(60, 10.0), 0.2, -0.11, ["DECLINE"]),
        (np.tile([5.0, 15.0], 30), 0.2, None, ["HIGH VOLATILITY"]),
        (np.full(60, 10.0), 0.51, None, ["HIGH UNCERTAINTY"]),
        (np.tile([5.0, 15.0], 30), 0.6, 0.5, ["GROWTH", "HIGH VOLATILITY", "HIGH UNCERTAINTY"]),
        (np.zeros(60), None, None, []),
        (np.array([]), None, None, []),
    ],
)
def test_recommendations_begin_with_the_tag_whose_limit_is_passed(
    history: np.ndarray, width: float | None, trend: float | None, tags: list[str]
) -> None:
    said = report.recommendations(84, history, width, trend)
    assert [sentence.partition(":")[0] for sentence in said] == tags
    assert all(sentence.endswith(".") for sentence in said)
