"""Thresholds, recipients, the mail self-test, decisions and jobs over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trendcast.services import decisions, forecast, recommend
from trendcast.store.engine import Database

THRESHOLD = {"name": "high_loss", "level": "category", "product_category": "Electronics", "value": 5000.0}


@pytest.fixture(scope="module")
def own(clone_demo: Callable[[str], Database]) -> Database:
    return clone_demo("rest_settings")


@pytest.fixture(params=["owner", "tc_web"])
def rest(own: Database, serving: Callable[[str], Any], request: pytest.FixtureRequest) -> Any:
    """REST in one process with everything, and in one of its own with less rights."""
    joint = "&" if "?" in own.url else "?"
    return serving(own.url if request.param == "owner" else f"{own.url}{joint}options=-c%20role%3Dtc_web")


def audited(own: Database) -> list[tuple[str, str]]:
    with own.read() as connection:
        return [tuple(row) for row in connection.exec_driver_sql("SELECT actor, action FROM audit ORDER BY id")]


def test_a_threshold_is_tried_set_changed_and_taken_back(rest: Any, own: Database) -> None:
    before = len(audited(own))
    tried = rest.post("/thresholds/preview", json=THRESHOLD).json()
    assert tried["success"] is True
    assert tried["sentence"].startswith(f"In the last {tried['days']} days")
    assert rest.get("/thresholds").json()["total"] == 0, "a preview writes nothing"
    number = rest.request("PUT", "/thresholds", json={**THRESHOLD, "reason": "Nobody acts below"}).json()["id"]
    again = rest.request("PUT", "/thresholds", json={**THRESHOLD, "value": 6000, "reason": "Less"}).json()["id"]
    assert again == number, "one figure per node"
    body = rest.get("/thresholds").json()
    (row,) = body["thresholds"]
    assert (row["id"], row["value"], row["set_by"]) == (number, 6000.0, "local")
    assert {one["name"] for one in body["names"]} >= {"high_loss", "least_change"}
    assert rest.request("DELETE", f"/thresholds/{number}").json() == {"success": True, "id": number}
    assert rest.request("DELETE", f"/thresholds/{number}").status_code == 404
    said = [("local", f"threshold {what}") for what in ("set", "changed", "removed")]
    assert audited(own)[before:] == said


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"name": "luck"}, 422), ({"value": -1}, 422), ({"value": "many"}, 422), ({"reason": ""}, 422),
        ({"product_category": "Electronix"}, 404), ({"level": "region"}, 422), ({"colour": "red"}, 422),
        ({"value": True}, 422), ({"product_category": "a\x00b"}, 422),
    ],
)  # fmt: skip
def test_a_threshold_that_cannot_be_is_refused(rest: Any, changes: dict[str, Any], status: int) -> None:
    answer = rest.request("PUT", "/thresholds", json={**THRESHOLD, "reason": "why", **changes})
    assert (answer.status_code, answer.json()["success"]) == (status, False), answer.text


def test_recipients_come_and_go(rest: Any, own: Database) -> None:
    wanted = {"address": "ann@shop.example", "region": "North", "impact_level": "HIGH"}
    added = rest.post("/recipients", json=wanted)
    number = added.json()["id"]
    assert (added.status_code, added.headers["location"]) == (201, f"/recipients/{number}")
    (row,) = rest.get("/recipients").json()["recipients"]
    assert {name: row[name] for name in wanted} == wanted
    assert rest.post("/recipients", json=wanted).status_code == 409
    for wrong in ({"address": "nobody"}, {"address": "a@b.example\nBcc: x@y.example"}, {"region": "Atlantis"}):
        assert rest.post("/recipients", json={**wanted, **wrong}).status_code == 422, wrong
    assert rest.request("DELETE", f"/recipients/{number}").status_code == 200
    assert rest.get("/recipients").json()["total"] == 0
    assert rest.request("DELETE", f"/recipients/{number}").status_code == 404


def test_the_self_test_names_what_is_missing(rest: Any) -> None:
    answer = rest.post("/alerts/test", json={"address": "ann@shop.example"})
    assert answer.status_code == 409
    assert "SMTP_SERVER" in answer.json()["error"]
    assert rest.post("/alerts/test", json={"address": "ann"}).status_code == 422


def test_a_decision_is_noted_with_the_advice_as_it_was(rest: Any, own: Database) -> None:
    run = forecast.current_run(own)
    advice = recommend.advice(own, run.id, ["Electronics"]).iloc[0]
    body = {"product_category": "Electronics", "decision": "modify", "value": 40, "reason": "Half a pallet"}
    answer = rest.post("/decisions", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["run"]["id"] == run.id
    row = decisions.log(own, categories=["Electronics"]).iloc[0]
    assert (row["id"], row["value"], row["decided_by"]) == (answer.json()["decision_id"], 40.0, "local")
    assert row["sentence"] == advice["sentence"]
    second = rest.post("/decisions", json={"product_category": "Electronics", "decision": "accept"}).json()
    assert decisions.log(own, categories=["Electronics"])["id"].tolist() == [second["decision_id"]], "one stands"
    for wrong, status in (
        ({"decision": "modify"}, 422),
        ({"decision": "reject"}, 422),
        ({"product_category": "Electronix"}, 404),
        ({"replaces": 999999}, 404),
        ({"run": 999999}, 404),
    ):
        sent = {"product_category": "Electronics", "decision": "accept", **wrong}
        assert rest.post("/decisions", json=sent).status_code == status, wrong


def test_jobs_are_listed_with_what_became_of_them(rest: Any, own: Database) -> None:
    body = rest.get("/jobs?name=refresh&state=done").json()
    assert body["total"] == len(body["jobs"]) == 1
    job = body["jobs"][0]
    assert (job["name"], job["state"], job["at_work"], job["error"]) == ("refresh", "done", False, None)
    assert job["seconds"] > 0
    due = {row["name"]: row["next_due"] for row in body["timetable"]}
    assert due["refresh"] is not None
    assert due["detect"] is None, "whenever data comes"
    assert rest.get("/jobs?state=dead").json()["jobs"] == []
    assert rest.get("/jobs?state=asleep").status_code == 422
