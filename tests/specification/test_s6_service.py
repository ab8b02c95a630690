"""Specification S6: the REST service, path by path and key by key."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trendcast.store.engine import Database


def recent(text: str) -> bool:
    """Whether an ISO time with zone lies within the last minute."""
    moment = datetime.fromisoformat(text)
    return moment.tzinfo is not None and abs(datetime.now(UTC) - moment) < timedelta(minutes=1)


def test_s6_get_health_answers_healthy_with_time_and_service(rest: Any) -> None:
    response = rest.get("/health")
    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "healthy"
    assert body["service"] == "time_series_analytics"
    assert recent(body["timestamp"])


def test_s6_post_forecast_answers_the_report_of_s3(rest: Any) -> None:
    response = rest.post("/forecast", json={"product_category": "Electronics", "region": "North"})
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["success"] is True
    assert recent(body["generated_at"])
    report = body["forecast"]
    assert report["product_category"] == "Electronics"
    assert report["forecast_horizon"] == "12 weeks", "84 days unless asked otherwise"
    assert report["mae"] > 0
    assert 0 < report["mape"] < 100
    assert report["avg_weekly_forecast"] > 0
    for key in ("seasonal_peak", "seasonal_trough"):
        assert datetime.fromisoformat(report[key]).weekday() == 0, "weeks are named by their Monday"
    assert isinstance(report["business_recommendations"], list)


def test_s6_post_forecast_takes_forecast_days_and_leaves_the_region_free(rest: Any) -> None:
    report = rest.post("/forecast", json={"product_category": "Electronics", "forecast_days": 30}).json()["forecast"]
    assert (report["forecast_horizon"], len(report["daily"])) == ("30 days", 30)
    assert report["region"] is None


def test_s6_post_anomalies_detect_answers_what_it_found(checked_db: Database, serving: Any) -> None:
    response = serving(checked_db.url).post("/anomalies/detect")
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["success"] is True
    assert recent(body["checked_at"])
    assert body["anomalies_detected"] == len(body["anomalies"]) > 0
    keys = {"date", "product_category", "region", "actual_sales", "expected_sales", "anomaly_score", "impact"}
    for one in body["anomalies"]:
        assert keys <= set(one)
        assert one["impact"] in ("HIGH", "MEDIUM", "LOW")
        assert one["anomaly_score"] >= 2.5


def test_s6_post_anomalies_detect_without_data_is_a_conflict(db: Database, serving: Any) -> None:
    response = serving(db.url).post("/anomalies/detect")
    assert response.status_code == 409
    assert response.json()["success"] is False


def test_s6_get_metrics_dashboard_answers_the_last_seven_days(rest: Any) -> None:
    response = rest.get("/metrics/dashboard")
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["success"] is True
    metrics = body["metrics"]
    assert set(metrics) >= {"forecast_accuracy", "anomaly_summary", "system_status", "last_updated"}
    assert metrics["anomaly_summary"] == {"total_anomalies": 0, "high_impact": 0, "resolved": 0}
    assert metrics["system_status"] == "operational"
    assert recent(metrics["last_updated"])


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/forecast", {"product_category": "Electronix"}, 404),
        ("POST", "/forecast", {"product_category": "Electronics", "forecast_days": 0}, 422),
        ("POST", "/forecast", {}, 422),
        ("GET", "/forecast", None, 200),
        ("PUT", "/forecast", {}, 405),
        ("GET", "/nothing/here", None, 404),
    ],
)
def test_s6_failure_is_success_false_and_error(rest: Any, method: str, path: str, body: Any, status: int) -> None:
    response = rest.request(method, path, json=body)
    assert response.status_code == status
    if status >= 400:
        assert response.json()["success"] is False
        assert response.json()["error"].endswith((".", "?"))


def test_s6_log_lines_are_time_level_message_on_stdout_and_in_a_file(tmp_path: Path) -> None:
    """In a process of its own, as the service runs; outputs/ and logs/ lie under TRENDCAST_HOME."""
    script = (
        "import logging\n"
        "from trendcast import logs, settings\n"
        "from trendcast.services import pictures\n"
        "logs.begin(settings.load(), 'api')\n"
        "logging.getLogger('trendcast.refresh').info('Run 7 was published')\n"
        "print(pictures.outputs())\n"
    )
    home = {**os.environ, "TRENDCAST_HOME": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", script], env=home, capture_output=True, text=True, check=True)
    *lines, outputs = said.stdout.splitlines()
    assert Path(outputs) == tmp_path / "outputs"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z - INFO - Run 7 was published", lines[-1])
    (file,) = (tmp_path / "logs").iterdir()
    assert file.read_text(encoding="utf-8").splitlines() == lines


def test_s6_accuracy_is_best_first_from_what_was_scored_in_seven_days(db: Database, serving: Any) -> None:
    with db.transaction() as connection:
        connection.exec_driver_sql(
            """
            INSERT INTO series (level, product_category) VALUES ('category', 'A'), ('category', 'B'), ('total', '');
            INSERT INTO forecast_log (series_id, week, lag_weeks, run_id, level, product_category, region, store, mean,
            q10,
                                      q90, actual, forecast_accuracy, created_at, scored_at)
            SELECT s.id, week, 1, 1, s.level, s.product_category, '', '', 1, 1, 1, 1, accuracy, now() - interval '20
            days',
                   now() - age
            FROM (VALUES ('A', date '2026-01-05', 0.5, interval '1 day'), ('A', '2026-01-12', 0.7, '6 days'),
                         ('A', '2026-01-19', 0.0, '8 days'), ('B', '2026-01-05', 0.9, '2 days'),
                         ('', '2026-01-05', 1.0, '1 day')) AS v (category, week, accuracy, age)
            JOIN series s ON s.product_category = v.category;
            """
        )
    metrics = serving(db.url).get("/metrics/dashboard").json()["metrics"]
    assert metrics["forecast_accuracy"] == [
        {"product_category": "B", "avg_accuracy": 0.9, "forecast_count": 1},
        {"product_category": "A", "avg_accuracy": pytest.approx(0.6), "forecast_count": 2},
    ]
