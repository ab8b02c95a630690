"""GET /forecast and GET /series: rows of the published run, the same figures as everywhere else, page by page."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from trendcast.services import forecast
from trendcast.services.forecast import Selection
from trendcast.store.engine import Database

NUMBERS = ("mean", "q025", "q05", "q10", "q25", "q50", "q75", "q90", "q95", "q975")
FIRST_DAY = date(2026, 10, 1)  # the day after the data of the demo retailer


@pytest.fixture(scope="module")
def run(demo_db: Database) -> forecast.RunInfo:
    return forecast.current_run(demo_db)


def test_a_row_is_what_the_run_stores(rest: Any, demo_db: Database, run: forecast.RunInfo) -> None:
    body = rest.get("/forecast?level=category_region&category=Electronics&region=North").json()
    assert body["success"] is True
    assert (body["run"]["id"], body["level"], body["unit"], body["period"]) == (
        run.id,
        "category_region",
        "units",
        "daily",
    )
    assert body["total"] == len(body["rows"]) == run.horizon
    index = forecast.series_index(demo_db, run.id)
    rows = forecast.resolve(index, Selection("category_region", ("Electronics",), ("North",)))
    truth = forecast.forecast_daily(demo_db, run.id, [int(rows["series_id"].iloc[0])])
    for row, stored in zip(body["rows"], truth.itertuples(), strict=True):
        assert (row["product_category"], row["region"], row["store"]) == ("Electronics", "North", "")
        assert row["date"] == stored.date_id.date().isoformat()
        assert [row[name] for name in NUMBERS] == [getattr(stored, name) for name in NUMBERS]
    assert body["rows"][0]["date"] == FIRST_DAY.isoformat()


def test_weeks_are_whole_and_named_by_their_monday(rest: Any, run: forecast.RunInfo) -> None:
    body = rest.get("/forecast?level=total&period=weekly").json()
    weeks = [date.fromisoformat(row["date"]) for row in body["rows"]]
    assert all(week.weekday() == 0 for week in weeks)
    assert weeks[0] >= FIRST_DAY
    assert weeks[-1] + timedelta(days=6) <= run.last_day + timedelta(days=run.horizon)
    assert len(weeks) == body["total"] >= 12
    assert weeks == [weeks[0] + timedelta(weeks=n) for n in range(len(weeks))]


def test_pages_put_together_are_the_whole(rest: Any) -> None:
    whole = rest.get("/forecast?level=category_region&limit=1000").json()
    parts: list[dict[str, Any]] = []
    for offset in range(0, whole["total"], 97):  # a page ends in the middle of a series
        page = rest.get(f"/forecast?level=category_region&limit=97&offset={offset}").json()
        assert page["total"] == whole["total"]
        parts += page["rows"]
    assert parts == whole["rows"]
    assert len(parts) == whole["total"] == 6 * 91
    assert rest.get(f"/forecast?level=category_region&offset={whole['total']}").json()["rows"] == []


def test_from_and_to_cut_both_ends(rest: Any) -> None:
    body = rest.get("/forecast?category=Electronics&from=2026-10-05&to=2026-10-11").json()
    assert [row["date"] for row in body["rows"]] == [f"2026-10-{day:02d}" for day in range(5, 12)]
    assert rest.get("/forecast?category=Electronics&from=2030-01-01").json()["rows"] == []
    refused = rest.get("/forecast?from=2026-10-11&to=2026-10-05")
    assert refused.status_code == 422
    assert refused.json()["error"] == "'from' (2026-10-11) lies after 'to' (2026-10-05)."


def test_money_is_stored_and_quantiles_are_in_proportion(rest: Any, demo_db: Database, run: forecast.RunInfo) -> None:
    index = forecast.series_index(demo_db, run.id)
    row = forecast.resolve(index, Selection("category", ("Electronics",)))
    stored = forecast.forecast_daily(demo_db, run.id, [int(row["series_id"].iloc[0])])["money"]
    units = rest.get("/forecast?category=Electronics&limit=5").json()["rows"]
    money = rest.get("/forecast?category=Electronics&limit=5&unit=money").json()["rows"]
    assert [row["mean"] for row in money] == stored.head(5).tolist()
    for one, other in zip(units, money, strict=True):
        price = other["mean"] / one["mean"]
        assert price > 0
        assert [other[name] for name in NUMBERS] == pytest.approx([one[name] * price for name in NUMBERS])


@pytest.mark.parametrize(
    ("query", "level"),
    [
        ("", "category"),
        ("category=Electronics", "category"),
        ("region=North", "region"),
        ("category=Electronics&region=North", "category_region"),
        ("level=total", "total"),
    ],
)
def test_the_filters_imply_the_level(rest: Any, query: str, level: str) -> None:
    body = rest.get(f"/forecast?limit=1&{query}").json()
    assert body["level"] == level == body["rows"][0]["level"]


def test_a_list_is_a_repeated_parameter(rest: Any) -> None:
    body = rest.get("/series?category=Electronics&category=Clothing").json()
    assert {row["product_category"] for row in body["series"]} == {"Electronics", "Clothing"}


def test_series_are_all_there_is_to_ask_for(rest: Any, demo_db: Database, run: forecast.RunInfo) -> None:
    found = [
        row
        for level in ("total", "region", "category", "category_region")
        for row in rest.get(f"/series?level={level}").json()["series"]
    ]
    index = forecast.series_index(demo_db, run.id)
    assert len(found) == len(index) == 1 + 2 + 3 + 6
    for row, stored in zip(found, index.itertuples(), strict=True):
        assert (row["level"], row["product_category"], row["region"]) == (
            stored.level,
            stored.product_category,
            stored.region,
        )
        assert row["recent_units"] == stored.recent_units


def test_parts_add_up_to_the_whole(rest: Any) -> None:
    total = rest.get("/forecast?level=total").json()["rows"]
    regions = rest.get("/forecast?level=category_region&limit=1000").json()["rows"]
    for row in total:
        parts = sum(part["mean"] for part in regions if part["date"] == row["date"])
        assert parts == pytest.approx(row["mean"], rel=1e-9)
