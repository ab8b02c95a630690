"""Triage over REST: the inbox, one incident with all behind it, and moves that name the version they have seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.services.shops import Shop
from trendcast.services import incidents, keys
from trendcast.services.progress import silent
from trendcast.services.runtime import clock
from trendcast.store.engine import Database


@pytest.fixture
def shop(db: Database) -> Shop:
    """An outage of the South and a spike in the North on the last day, both found."""
    import numpy as np

    shop = Shop(db)
    shop.units[2::4, 159] = np.round(shop.units[2::4, 159] * 0.4)
    shop.units[5, 159] *= 3
    shop.load(160)
    shop.detect()
    return shop


@pytest.fixture
def rest(shop: Shop, serving: Callable[[str], Any]) -> Any:
    return serving(shop.db.url)


def seen(rest: Any, number: int) -> dict[str, str]:
    """The header that says which version was seen."""
    return {"If-Match": rest.get(f"/incidents/{number}").headers["etag"]}


def test_the_list_is_the_inbox_filtered_and_paged(rest: Any, shop: Shop) -> None:
    body = rest.get("/incidents").json()
    inbox = incidents.inbox(shop.db)
    assert [row["incident_id"] for row in body["incidents"]] == inbox["incident_id"].tolist()
    assert (body["total"], body["next"]) == (2, None)
    assert body["finding"] == incidents.finding(shop.db)
    first = rest.get("/incidents?limit=1&impact=HIGH&impact=MEDIUM&impact=LOW").json()
    assert first["next"] == "/incidents?impact=HIGH&impact=MEDIUM&impact=LOW&limit=1&offset=1"
    second = rest.get(first["next"]).json()
    assert [*first["incidents"], *second["incidents"]] == body["incidents"]
    assert second["next"] is None
    beyond = rest.get("/incidents?offset=500").json()
    assert (beyond["total"], beyond["incidents"], beyond["next"]) == (2, [], None)
    for query in ("region=North", "status=RESOLVED", "kind=SUPPLY", "since=2030-01-01", "snoozed=true", "category=C01"):
        one = rest.get(f"/incidents?{query}").json()
        assert one["total"] == len(one["incidents"]), query
    assert [row["region"] for row in rest.get("/incidents?region=North").json()["incidents"]] == ["North"]


def test_one_incident_has_all_that_its_page_shows_and_its_version_as_etag(rest: Any, shop: Shop) -> None:
    number = rest.get("/incidents?region=South").json()["incidents"][0]["incident_id"]
    answer = rest.get(f"/incidents/{number}")
    body, one = answer.json(), incidents.incident(shop.db, number)
    assert answer.headers["etag"] == f'"{one["version"]}"'
    assert (body["headline"], body["next_step"], body["rule"]) == (one["headline"], one["next_step"], one["rule"])
    assert len(body["anomalies"]) == one["members"] == 11
    assert body["anomalies"][0]["lead"] is True
    assert [day["day"] for day in body["days"]] == [str(shop.day(159))]
    assert [event["action"] for event in body["events"]] == one["events"]["action"].tolist()
    mails = rest.get(f"/incidents/{number}/mails").json()
    assert mails["total"] == body["mails"] == len(one["mails"])


def test_from_alert_to_resolved_with_who_when_and_why(rest: Any, shop: Shop) -> None:
    number = incidents.inbox(shop.db)["incident_id"].iloc[0]
    before = [row["incident_id"] for row in rest.get("/incidents").json()["incidents"]]
    taken = rest.post(f"/incidents/{number}/acknowledge", headers=seen(rest, number))
    assert (taken.json()["status"], taken.json()["owner"]) == ("ACKNOWLEDGED", "local")
    match = {"If-Match": taken.headers["etag"]}
    done = rest.post(f"/incidents/{number}/resolve", headers=match, json={"note": "A burst pipe."})
    assert (done.json()["status"], done.json()["note"]) == ("RESOLVED", "A burst pipe.")
    listed = [row["incident_id"] for row in rest.get("/incidents").json()["incidents"]]
    assert number in before
    assert number not in listed, "an answer is remembered only until something happens"
    undone = rest.post(f"/incidents/{number}/undo", headers={"If-Match": done.headers["etag"]})
    assert undone.json()["status"] == "ACKNOWLEDGED"
    events = rest.get(f"/incidents/{number}").json()["events"]
    moves = [(row["who"], row["action"]) for row in events if row["action"] in incidents.ACTIONS]
    assert moves == [("local", "acknowledge"), ("local", "resolve"), ("local", "undo")]


@pytest.mark.parametrize("action", ["expected", "new_normal", "false_alarm", "confirmed", "data_issue"])
def test_each_verdict_is_kept_as_one(rest: Any, shop: Shop, action: str) -> None:
    number = incidents.inbox(shop.db)["incident_id"].iloc[0]
    body = {"note": "The fair"}
    found = rest.post(f"/incidents/{number}/{action}", headers=seen(rest, number), json=body).json()
    assert found["disposition"] == action
    assert found["status"] == incidents.VERDICTS[action]


def test_who_has_not_seen_the_newest_version_changes_nothing(rest: Any, shop: Shop) -> None:
    number = incidents.inbox(shop.db)["incident_id"].iloc[0]
    old = seen(rest, number)
    assert rest.post(f"/incidents/{number}/acknowledge").status_code == 428
    assert rest.post(f"/incidents/{number}/acknowledge", headers=old).status_code == 200
    for match in (old, {"If-Match": '"99"'}, {"If-Match": "*"}, {"If-Match": '"abc"'}):
        refused = rest.post(f"/incidents/{number}/false_alarm", headers=match)
        assert refused.status_code == 412, match
        assert refused.json()["success"] is False
    assert rest.get(f"/incidents/{number}").json()["status"] == "ACKNOWLEDGED"


def test_what_cannot_be_is_said(rest: Any, shop: Shop) -> None:
    number = incidents.inbox(shop.db)["incident_id"].iloc[0]
    match = seen(rest, number)
    for action, body, status in (
        ("resolve", {}, 422),  # a note is missing
        ("data_issue", {"note": " "}, 422),
        ("snooze", {}, 422),  # until when
        ("snooze", {"until": "2001-01-01"}, 422),
        ("delete", {}, 404),
        ("mails", {}, 405),
        ("snooze", {"until": 0}, 422),  # a number is no day
        ("acknowledge", {"colour": "red"}, 422),
        ("undo", {}, 409),  # nothing to take back
    ):
        answer = rest.post(f"/incidents/{number}/{action}", headers=match, json=body)
        assert (answer.status_code, answer.json()["success"]) == (status, False), (action, answer.text)
    assert rest.post("/incidents/999999/acknowledge", headers=match).status_code == 404
    for path in ("/incidents/999999", "/incidents/999999/mails"):
        assert rest.get(path).status_code == 404
    assert rest.get("/incidents/0").status_code == 422


def test_a_key_signs_with_its_name(rest: Any, shop: Shop) -> None:
    key = keys.create(shop.db, clock(), "night desk", "write", 1, "test")
    number = incidents.inbox(shop.db)["incident_id"].iloc[0]
    headers = {**seen(rest, number), "Authorization": f"Bearer {key}"}
    assert rest.post(f"/incidents/{number}/acknowledge", headers=headers).json()["owner"] == "key:night desk"


# --- detections: once, now or by a worker ---


def test_a_key_makes_a_detection_once(rest: Any, shop: Shop) -> None:
    headers = {"Idempotency-Key": "5f0c"}
    first = rest.post("/anomalies/detect", headers=headers)
    shop.units[9, 160:] = 0
    again = rest.post("/anomalies/detect", headers=headers)
    assert again.content == first.content, "to the letter, with the first one's time"
    assert (again.headers["idempotency-replayed"], "idempotency-replayed" in first.headers) == ("true", False)
    other = rest.post("/anomalies/detect?dry_run=true", headers=headers)
    assert other.status_code == 422
    assert "another request" in other.json()["error"]
    assert rest.post("/anomalies/detect?dry_run=true", headers={"Idempotency-Key": "5f0d"}).status_code == 200


def test_a_request_that_failed_or_is_over_leaves_its_key_free(rest: Any, shop: Shop) -> None:
    number = incidents.inbox(shop.db)["incident_id"].iloc[0]
    headers = {"Idempotency-Key": "once", **seen(rest, number)}
    path = f"/incidents/{number}/acknowledge"
    assert rest.post(path, headers={**headers, "If-Match": '"99"'}).status_code == 412
    first = rest.post(path, headers=headers)
    assert first.status_code == 200
    assert rest.post(path, headers=headers).json() == first.json(), "a repeat is no conflict with itself"
    with shop.db.transaction() as connection:
        connection.exec_driver_sql("UPDATE idempotency SET expires_at = now()")
    assert rest.post(path, headers=headers).status_code == 412, "a day later it is a new request"


def test_a_request_under_way_is_not_begun_again(rest: Any, shop: Shop) -> None:
    from trendcast.services import idempotency

    use = idempotency.Request.of("local", "POST /anomalies/detect", "twice", b"", b"", b"")
    assert use.begin(shop.db) is None
    answer = rest.post("/anomalies/detect", headers={"Idempotency-Key": "twice"})
    assert answer.status_code == 409
    use.drop(shop.db)
    assert rest.post("/anomalies/detect", headers={"Idempotency-Key": "twice"}).status_code == 200
    assert rest.post("/anomalies/detect", headers={"Idempotency-Key": "x" * 256}).status_code == 422


def test_a_scope_names_what_the_answer_is_about(rest: Any) -> None:
    whole = rest.post("/anomalies/detect").json()
    north = rest.post("/anomalies/detect?scope=North").json()
    assert (whole["anomalies_detected"], north["anomalies_detected"]) == (12, 1)
    assert north["anomalies"] == [row for row in whole["anomalies"] if row["region"] == "North"]


def test_a_day_that_later_ones_were_checked_after_can_only_be_tried(rest: Any, shop: Shop) -> None:
    before = shop.rows("anomaly_log"), shop.rows("detection_run")
    answer = rest.post(f"/anomalies/detect?as_of={shop.day(150)}")
    assert answer.status_code == 409
    assert "dry_run=true" in answer.json()["error"]
    tried = rest.post(f"/anomalies/detect?as_of={shop.day(150)}&dry_run=true").json()
    assert (tried["as_of"], tried["dry_run"]) == (str(shop.day(150)), True)
    assert rest.post(f"/anomalies/detect?as_of={shop.day(159)}").json()["repeated"] is True
    assert (shop.rows("anomaly_log"), shop.rows("detection_run")) == before


def work(shop: Shop) -> None:
    """What a worker does with the detection that waits, in this process."""
    import json

    from trendcast.services.detect import detect
    from trendcast.store import jobs

    claim = jobs.claim(shop.db, names=["detect"])
    assert claim is not None
    done = detect(shop.db, shop.clock, silent, claim.token, **claim.arguments)
    jobs.finish(shop.db, claim.id, claim.token, json.loads(json.dumps(done, default=str)))


@pytest.mark.parametrize("query", ["", "?dry_run=true", "?as_of=2026-06-13&dry_run=true"])
def test_who_would_rather_not_wait_asks_later(rest: Any, shop: Shop, query: str) -> None:
    asked = rest.post(f"/anomalies/detect{query}", headers={"Prefer": "respond-async"})
    assert asked.status_code == 202
    assert rest.post(f"/anomalies/detect{query}", headers={"Prefer": "respond-async"}).json() == asked.json(), "once"
    href = asked.headers["location"]
    assert href == asked.json()["href"] == f"/anomalies/detect/{asked.json()['run_id']}"
    assert rest.get(href).status_code == 202
    work(shop)
    told = rest.get(href).json()
    assert (told["anomalies_detected"], told["dry_run"]) == (12, "dry_run" in query)
    assert rest.get(f"{href}?scope=North").json()["anomalies_detected"] == 1
    assert rest.get("/anomalies/detect/999999").status_code == 404


def test_a_process_without_the_owners_rights_asks_a_worker(
    shop: Shop, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settling what was found it does itself."""
    from trendcast.services import jobs

    monkeypatch.setattr(jobs, "PATIENCE", 0.0)
    joint = "&" if "?" in shop.db.url else "?"
    web = serving(f"{shop.db.url}{joint}options=-c%20role%3Dtc_web")
    shop.units[9, 159] *= 3
    shop.load(160, first=159)
    started = web.post("/anomalies/detect", headers={"Idempotency-Key": "a"})
    assert (started.status_code, started.json()["state"]) == (202, "queued")
    assert web.post("/anomalies/detect", headers={"Idempotency-Key": "a"}).json() == started.json()
    work(shop)
    found = web.get(started.headers["location"]).json()
    assert "C02" in {row["product_category"] for row in found["anomalies"] if row["region"] == "North"}
    number = incidents.inbox(shop.db)["incident_id"].iloc[0]
    assert web.post(f"/incidents/{number}/acknowledge", headers=seen(web, number)).status_code == 200
