"""S5: the anomaly log's columns, how much history it takes, and the levels, beside the customer's rule as written."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trendcast.anomalies import expectation, plain
from trendcast.services import detect, forecast, plain_rule
from trendcast.services.load import load_frames
from trendcast.services.progress import silent
from trendcast.store.engine import Database

COLUMNS = {
    "detected_date": "date", "product_category": "character varying", "region": "character varying",
    "actual_value": "double precision", "expected_value": "double precision", "anomaly_score": "double precision",
    "impact_level": "text", "status": "text", "created_at": "timestamp with time zone",
}  # fmt: skip
LAST = date(2026, 6, 30)


def check(db: Database) -> dict[str, Any]:
    return detect.detect(db, lambda: datetime.now(UTC), silent, None)


def shop(db: Database, days: int, odd: dict[str, float], *, categories: int = 12) -> None:
    """A retailer of calm categories; ``odd``: category -> what its last day is multiplied by."""
    rng = np.random.default_rng(5)
    dates = pd.date_range(end=LAST, periods=days)
    week = np.array([1.0, 0.9, 0.95, 1.0, 1.2, 1.4, 0.7])[dates.day_of_week]
    rows = []
    for number in range(categories):
        name = f"C{number}"
        units = np.round(400 * week * rng.lognormal(0, 0.04, days))
        units[-1] = round(units[-1] * odd.get(name, 1.0))
        rows.append(
            pd.DataFrame(
                {
                    "date_id": dates, "product_category": name, "region": "N", "sales_units": units,
                    "sales_revenue": units * 10,
                }
            )
        )  # fmt: skip
    load_frames(db, {"sales_daily": pd.concat(rows)}, source="specification")


def test_s5_columns_of_the_anomaly_log(db: Database) -> None:
    with db.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'trendcast' AND table_name = 'anomaly_log'"
        ).fetchall()
    assert COLUMNS.items() <= {row[0]: row[1] for row in rows}.items()


def test_s5_statuses_and_levels_are_the_specifications(checked_db: Database) -> None:
    log = checked_db.frame("analyst_anomalies")
    assert {"HIGH", "MEDIUM"} <= set(log["impact_level"]) <= {"HIGH", "MEDIUM", "LOW"}
    assert set(log["status"]) <= {"NEW", "ACKNOWLEDGED", "RESOLVED"}
    ranges = {"LOW": (2.5, 3.0), "MEDIUM": (3.0, 4.0), "HIGH": (4.0, np.inf)}
    for level, score in zip(log["impact_level"], log["anomaly_score"], strict=True):
        low, high = ranges[level]
        assert low <= score <= high, "the score stays readable: 2.5 notable, 3 medium, 4 high"


@pytest.mark.parametrize(("days", "found"), [(7, False), (40, True)])
def test_s5_at_least_eight_days_of_history(db: Database, days: int, found: bool) -> None:
    shop(db, days, {"C3": 0.02})
    assert ("C3" in {one["product_category"] for one in check(db)["anomalies"]}) is found
    assert expectation.SHORTEST == plain.LEAST == 8


def test_s5_high_is_reached_and_calm_days_are_not_listed(db: Database) -> None:
    shop(db, 200, {"C3": 0.05, "C5": 4.0})
    of_day = [one for one in check(db)["anomalies"] if one["date"] == LAST.isoformat()]
    by_name = {one["product_category"]: one for one in of_day}
    assert set(by_name) == {"C3", "C5"}
    assert by_name["C3"]["impact"] == "HIGH"
    assert by_name["C3"]["anomaly_score"] > 4
    assert by_name["C3"]["actual_sales"] < by_name["C3"]["expected_sales"] / 10


def test_s5_the_rule_as_written_cannot_exceed_3_47() -> None:
    """With the day inside its own 14-day window |z| <= (n - 1) / sqrt(n): HIGH, above 4, never fires."""
    rng = np.random.default_rng(1)
    days = rng.lognormal(3, 0.3, 200)
    highest = 0.0
    for spike in (10, 1e3, 1e9):
        units = days.copy()
        units[150] *= spike
        for end in range(14, len(units) + 1):
            window = units[end - 14 : end]
            highest = max(highest, abs(window[-1] - window.mean()) / window.std(ddof=1))
    assert highest == pytest.approx(13 / np.sqrt(14), rel=1e-6)
    assert round(13 / np.sqrt(14), 2) == 3.47
    score, _, impact = plain.plain(units[None])
    assert np.nanmax(score) == pytest.approx(highest)
    assert "HIGH" not in set(impact.ravel())


def test_s5_the_plain_rule_stays_selectable_and_is_not_stored(checked_db: Database, serving: Any) -> None:
    run = forecast.current_run(checked_db)
    index = forecast.series_index(checked_db, run.id)
    number = int(index.loc[index["level"] == "category", "series_id"].iloc[0])
    rule = plain_rule.plain_rule(checked_db, run, [number], days=120)
    assert list(rule.columns) == ["date_id", "actual", "expected", "score", "impact"]
    assert len(rule) == 120
    before = len(checked_db.frame("analyst_anomalies"))
    answer = serving(checked_db.url).post("/anomalies/detect?rule=plain").json()
    assert (answer["success"], answer["rule"], answer["days"]) == (True, "plain", 30), "30 days of comparison"
    assert not {one["impact"] for one in answer["anomalies"]} & {"HIGH"}
    assert len(checked_db.frame("analyst_anomalies")) == before


def test_s5_a_weekday_is_no_anomaly_and_a_constant_no_division_by_zero(db: Database) -> None:
    dates = pd.date_range(end=LAST, periods=120)
    week = np.array([100, 100, 100, 100, 100, 300, 20])[dates.day_of_week]
    frames = [
        pd.DataFrame({"date_id": dates, "product_category": name, "region": "N", "sales_units": units})
        for name, units in (("weekly", week), ("constant", np.full(120, 50)), ("never", np.zeros(120)))
    ]
    load_frames(db, {"sales_daily": pd.concat(frames)}, source="specification")
    assert check(db)["anomalies"] == []


def test_s5_a_check_asks_a_fixed_number_of_queries(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """As written there is one query per series."""
    shop(db, 60, {}, categories=40)
    asked: list[str] = []
    for name in ("rows", "frame", "execute"):
        real = getattr(Database, name)

        def counted(self: Database, query: str, *rest: Any, _real: Any = real, **values: Any) -> Any:
            asked.append(query)
            return _real(self, query, *rest, **values)

        monkeypatch.setattr(Database, name, counted)
    check(db)
    assert len(asked) < 20
