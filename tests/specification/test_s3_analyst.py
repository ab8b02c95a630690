"""S3: the analyst's interface, method by method and key by key; what was wrong as written is shown to be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import trendcast
from trendcast import RealTimeAnomalyDetector, TimeSeriesAnalyzer
from trendcast.services import frames
from trendcast.store.engine import Database

ROOT = Path(__file__).resolve().parents[2]
FEATURES = [
    "sales_units", "sales_revenue", "promotion_flag", "sales_lag_1", "sales_lag_7", "sales_lag_14", "rolling_avg_7d",
    "rolling_avg_30d", "rolling_std_14d", "week_over_week_change", "is_weekend", "month_num", "quarter_num",
    "economic_index", "competitor_promotion_intensity", "seasonal_events", "social_media_mentions", "stock_level",
    "stockout_flag", "seasonal_sin", "seasonal_cos", "major_holiday_flag",
]  # fmt: skip
REPORT = [
    "product_category", "forecast_horizon", "mae", "mape", "avg_weekly_forecast", "seasonal_peak", "seasonal_trough",
    "business_recommendations",
]  # fmt: skip


@pytest.fixture(scope="module")
def analyzer(demo_db: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimeSeriesAnalyzer]:
    with TimeSeriesAnalyzer(demo_db.url) as made:
        made.outputs = tmp_path_factory.mktemp("outputs")
        yield made


@pytest.fixture(scope="module")
def days(analyzer: TimeSeriesAnalyzer) -> pd.DataFrame:
    return analyzer.extract_time_series_data("Clothing", "North")


@pytest.fixture(scope="module")
def fitted(analyzer: TimeSeriesAnalyzer, days: pd.DataFrame) -> tuple[Any, pd.DataFrame]:
    return analyzer.build_prophet_model(days)


@pytest.fixture(scope="module")
def report(analyzer: TimeSeriesAnalyzer, days: pd.DataFrame, fitted: tuple[Any, pd.DataFrame]) -> dict[str, Any]:
    return analyzer.generate_forecast_report(*fitted, days, "Clothing")


def test_s3_the_classes_are_exported_and_the_import_is_cheap() -> None:
    assert {"TimeSeriesAnalyzer", "RealTimeAnomalyDetector"} <= set(trendcast.__all__)
    program = (
        "import sys, trendcast; "
        "print(sorted({'pandas', 'numpy', 'prophet', 'statsmodels', 'matplotlib', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError):
        trendcast.Nothing  # noqa: B018


def test_s3_connection_string_or_the_settings(demo_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", demo_db.url)
    for given in (demo_db.url, None, ""):
        with TimeSeriesAnalyzer(given) as made:
            assert made.models == {}
            assert made.forecasts == {}
            assert "TimeSeriesAnalyzer" in repr(made)
            assert len(made.extract_time_series_data("Clothing")) > 1000


def test_s3_extract_time_series_data(analyzer: TimeSeriesAnalyzer, days: pd.DataFrame) -> None:
    assert days.index.name == "date_id"
    assert isinstance(days.index, pd.DatetimeIndex)
    assert days.index.is_monotonic_increasing
    assert list(days.columns)[: len(FEATURES)] == FEATURES
    everything = analyzer.extract_time_series_data()
    assert everything.index.is_unique, "several regions are added up by date, not mixed"
    assert everything["sales_units"].iloc[-1] > days["sales_units"].iloc[-1]


def test_s3_decompose_time_series(analyzer: TimeSeriesAnalyzer, days: pd.DataFrame) -> None:
    made = analyzer.decompose_time_series(days, target_column="sales_units")
    observed, trend, seasonal, resid, figure = made
    known = observed.notna()
    assert (trend + seasonal + resid)[known].to_numpy() == pytest.approx(observed[known].to_numpy())
    assert [axes.get_ylabel() for axes in figure.axes] == ["Observed", "Trend", "Seasonal", "Resid"]
    assert made._repr_png_().startswith(b"\x89PNG")
    assert "sales_units" in repr(made)


def test_s3_build_prophet_model(
    analyzer: TimeSeriesAnalyzer, days: pd.DataFrame, fitted: tuple[Any, pd.DataFrame]
) -> None:
    from prophet import Prophet

    model, forecast = fitted
    assert isinstance(model, Prophet)
    assert {"ds", "yhat", "yhat_lower", "yhat_upper"} <= set(forecast.columns)
    assert {"yearly", "weekly"} <= set(model.seasonalities)
    assert set(model.extra_regressors) == {"promotion_flag", "economic_index"}
    assert (forecast["ds"] > days.index[-1]).sum() == 84
    assert analyzer.models["Clothing in North"] is model
    assert analyzer.forecasts["Clothing in North"] is forecast


def test_s3_detect_anomalies(analyzer: TimeSeriesAnalyzer, days: pd.DataFrame) -> None:
    found = analyzer.detect_anomalies(days, "sales_units", threshold=2.5)
    assert len(found) > 0
    assert {"anomaly_score", "business_impact", *days.columns} <= set(found.columns)
    assert set(found["business_impact"]) <= {"HIGH", "MEDIUM", "LOW"}
    assert found["anomaly_score"].min() >= 2.5
    assert len(analyzer.detect_anomalies(days, threshold=5)) < len(found)
    # As written the score could not exceed 3.47; a collapse in the demo does.
    assert found["anomaly_score"].max() > 4
    assert "HIGH" in set(found["business_impact"])


def test_s3_generate_forecast_report(report: dict[str, Any], days: pd.DataFrame, fitted: tuple[Any, Any]) -> None:
    assert set(REPORT) <= set(report)
    assert report["product_category"] == "Clothing"
    assert report["forecast_horizon"] == "12 weeks"
    assert report["mae"] > 0
    assert 0 < report["mape"] < 100
    for key in ("seasonal_peak", "seasonal_trough"):
        assert pd.Timestamp(report[key]).day_of_week == 0
    assert isinstance(report["business_recommendations"], list)
    chart = Path(report["chart"])
    assert chart.read_bytes().startswith(b"\x89PNG")
    assert chart.name == f"forecast-clothing-{days.index[-1].date()}.png"


def test_s3_avg_weekly_forecast_is_per_week(
    report: dict[str, Any], days: pd.DataFrame, fitted: tuple[Any, Any]
) -> None:
    """As written it is the mean of a day, a seventh of what the name says."""
    ahead = fitted[1].loc[fitted[1]["ds"] > days.index[-1], "yhat"]
    assert report["avg_weekly_forecast"] == pytest.approx(ahead.sum() / 12)


def test_s3_the_error_is_out_of_sample(report: dict[str, Any], days: pd.DataFrame, fitted: tuple[Any, Any]) -> None:
    """As written it is measured on the days the model was fitted to, which flatters it."""
    _, forecast = fitted
    inside = forecast.set_index("ds")["yhat"].reindex(days.index)
    flattering = frames.whole_weeks(pd.DataFrame({"said": inside, "sold": days["sales_units"]}))
    in_sample = float((flattering["said"] - flattering["sold"]).abs().mean())
    assert in_sample < report["mae"]
    assert report["measured_weeks"] == 36
    assert all(pd.Timestamp(day) + pd.Timedelta(84, "D") <= days.index[-1] for day in report["measured_origins"])


def test_s3_mape_leaves_weeks_without_sales_out_and_wape_stands_beside_it(report: dict[str, Any]) -> None:
    from trendcast.services.report import errors

    found = errors(np.array([[0.0, 10.0, 10.0]]), np.array([[5.0, 9.0, 11.0]]))
    assert found["mape"] == pytest.approx(0.1)
    assert found["wape"] == pytest.approx(7 / 20)
    assert report["wape"] > 0


def test_s3_future_promotions_are_not_none_and_the_index_is_not_carried_on(
    days: pd.DataFrame, fitted: tuple[Any, pd.DataFrame]
) -> None:
    ahead = fitted[1][fitted[1]["ds"] > days.index[-1]]
    assert ahead["promotion_flag_value"].sum() > 0
    assert ahead["economic_index_value"].nunique() > 40
    assert ahead["economic_index_value"].iloc[-1] == days["economic_index"].iloc[-1], "known on the last day ahead"


def test_s3_real_time_anomaly_detector(checked_db: Database) -> None:
    with pytest.warns(UserWarning, match="mail follows the settings"):
        detector = RealTimeAnomalyDetector(checked_db.url, {"recipients": ["a@example.com"]})
    with detector:
        found = detector.run_daily_anomaly_check()
        keys = {
            "date", "product_category", "region", "actual_sales", "expected_sales", "anomaly_score", "impact",
        }  # fmt: skip
        assert found
        assert all(keys <= set(one) for one in found)
        assert detector.run_daily_anomaly_check() == found, "the same data are judged once"
        history = detector.anomaly_history
        assert list(history.columns)[:9] == [
            "detected_date", "product_category", "region", "actual_value", "expected_value", "anomaly_score",
            "impact_level", "status", "created_at",
        ]  # fmt: skip
        assert len(history) > 0
        assert detector.alert_config == {"recipients": ["a@example.com"]}


def test_s3_the_example_runs_the_flow_and_ends_in_an_executive_summary(demo_db: Database, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "examples/executive_summary.py"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": demo_db.url, "TRENDCAST_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    body, summary = done.stdout.split("EXECUTIVE SUMMARY\n")
    for name in ("Electronics", "Clothing", "Home & Garden"):
        assert f"\n{name}, " in f"\n{body}"
        assert any(line.startswith(f"{name}: MAPE ") and "recommendations" in line for line in summary.splitlines())
    assert body.count("  anomalies: ") == body.count("  MAPE: ") == 3
    assert len(list((tmp_path / "outputs").glob("*.png"))) == 3
