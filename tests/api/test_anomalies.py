"""POST /anomalies/detect and GET /anomalies: the customer's keys, once per state of the data, filtered and paged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.services.shops import Shop
from trendcast.services import incidents
from trendcast.store.engine import Database

KEYS = {"date", "product_category", "region", "actual_sales", "expected_sales", "anomaly_score", "impact"}


@pytest.fixture
def shop(db: Database) -> Shop:
    """An outage of the South and a spike in the North on the last day; nothing is checked yet."""
    shop = Shop(db)
    shop.units[2::4, 159] = np.round(shop.units[2::4, 159] * 0.4)
    shop.units[5, 159] *= 3
    shop.load(160)
    return shop


@pytest.fixture
def rest(shop: Shop, serving: Callable[[str], Any]) -> Any:
    return serving(shop.db.url)


def test_detect_answers_with_the_keys_of_the_specification(rest: Any, shop: Shop) -> None:
    body = rest.post("/anomalies/detect").json()
    assert body["success"] is True
    assert {"anomalies_detected", "anomalies", "checked_at"} <= set(body)
    assert body["anomalies_detected"] == len(body["anomalies"]) == 12
    assert all(set(row) >= KEYS for row in body["anomalies"])
    spike = next(row for row in body["anomalies"] if row["region"] == "North")
    assert (spike["date"], spike["product_category"]) == (str(shop.day(159)), "C01")
    assert spike["actual_sales"] == shop.units[5, 159]
    assert body["incidents"] == 2


def test_a_second_call_gets_the_first_ones_answer(rest: Any, shop: Shop) -> None:
    first = rest.post("/anomalies/detect").json()
    log = shop.rows("anomaly_log")
    second = rest.post("/anomalies/detect").json()
    assert second["repeated"]
    assert second["anomalies"] == first["anomalies"]
    assert shop.rows("anomaly_log") == log


def test_all_that_was_found_is_counted_also_when_the_list_is_cut(
    rest: Any, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trendcast.services import detect_write

    monkeypatch.setattr(detect_write, "MOST_TOLD", 5)
    body = rest.post("/anomalies/detect").json()
    assert (body["anomalies_detected"], len(body["anomalies"])) == (12, 5)


def test_a_dry_run_writes_nothing(rest: Any, shop: Shop) -> None:
    body = rest.post("/anomalies/detect?dry_run=true").json()
    assert (body["dry_run"], body["anomalies_detected"]) == (True, 12)
    assert shop.rows("anomaly_log") == []
    assert rest.get("/anomalies").json()["total"] == 0


def test_the_customers_plain_rule_is_there_to_compare(rest: Any, shop: Shop) -> None:
    body = rest.post("/anomalies/detect?rule=plain").json()
    assert body["rule"] == "plain"
    assert body["anomalies"]
    assert max(row["anomaly_score"] for row in body["anomalies"]) <= 3.4743
    assert "HIGH" not in {row["impact"] for row in body["anomalies"]}
    assert shop.rows("anomaly_log") == []


def test_the_list_is_filtered_and_paged(rest: Any) -> None:
    rest.post("/anomalies/detect")
    whole = rest.get("/anomalies").json()
    assert whole["total"] == len(whole["anomalies"]) == 12
    assert "Region South" in whole["finding"]
    pages = [rest.get(f"/anomalies?limit=5&offset={offset}").json() for offset in (0, 5, 10, 15)]
    assert [len(page["anomalies"]) for page in pages] == [5, 5, 2, 0]
    assert {page["total"] for page in pages} == {12}
    assert [row for page in pages for row in page["anomalies"]] == whole["anomalies"]
    north = rest.get("/anomalies?region=North").json()
    assert [row["region"] for row in north["anomalies"]] == ["North"]
    assert rest.get("/anomalies?kind=SUPPLY").json()["total"] == 0
    assert rest.get("/anomalies?status=NEW&impact=HIGH&category=C03").json()["total"] <= 1
    assert rest.get("/anomalies?since=2030-01-01").json()["total"] == 0


def test_a_row_carries_its_incident_and_what_to_do(rest: Any, shop: Shop) -> None:
    rest.post("/anomalies/detect")
    lead = next(row for row in rest.get("/anomalies").json()["anomalies"] if row["lead"] and row["region"] == "South")
    one = incidents.incident(shop.db, lead["incident_id"])
    assert (lead["headline"], lead["next_step"]) == (one["headline"], one["next_step"])


@pytest.mark.parametrize("query", ["status=OPEN", "kind=demand", "limit=0", "since=yesterday", "colour=red"])
def test_a_wrong_filter_is_said(rest: Any, query: str) -> None:
    answer = rest.get(f"/anomalies?{query}")
    assert answer.status_code == 422
    assert answer.json()["success"] is False


def test_without_data_the_answer_is_a_conflict(db: Database, serving: Callable[[str], Any]) -> None:
    rest = serving(db.url)
    for path in ("/anomalies/detect", "/anomalies/detect?rule=plain", "/anomalies/detect?dry_run=true"):
        answer = rest.post(path)
        assert answer.status_code == 409
        assert "no sales" in answer.json()["error"]
    assert rest.get("/anomalies").json()["total"] == 0
