"""How much one caller may ask, and how a request is followed from its answer to the log and the audit."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import threading
import time

import httpx
import pytest

from trendcast.api import app as service
from trendcast.api import guard, shared
from trendcast.services import incidents, keys

SECRET = "s" * 40
NOW = dt.datetime.now(dt.UTC)


@pytest.fixture(scope="module")
def own_demo(clone_demo):
    return clone_demo("limits")


@pytest.fixture
def stopped_clock(monkeypatch):
    """The limits' own clock stands still: a slow machine may not earn a caller new requests."""
    hand = [0.0]
    monkeypatch.setattr(service._guard, "limits", guard.Limits(lambda: hand[0]))
    return hand


@pytest.fixture
def proxied(serving, own_demo, monkeypatch):
    monkeypatch.setenv("TRENDCAST_AUTH", "proxy")
    monkeypatch.setenv("TRENDCAST_PROXY_SECRET", SECRET)
    return serving(own_demo.url)


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def test_a_key_may_ask_120_times_at_once_and_once_a_second_after_that(proxied, own_demo, stopped_clock):
    till, desk = (bearer(keys.create(own_demo, NOW, name, "read", 1, "test")) for name in ("till", "desk"))
    statuses = [proxied.get("/openapi.json", headers=till).status_code for _ in range(120)]
    assert statuses == [200] * 120
    answer = proxied.get("/openapi.json", headers=till)
    assert answer.status_code == 429
    assert answer.json() == {"success": False, "error": "Too many requests: please wait."}
    assert answer.headers["retry-after"] == "1"
    assert proxied.get("/openapi.json", headers=desk).status_code == 200, "each key has its own"
    stopped_clock[0] += 1.0
    assert [proxied.get("/openapi.json", headers=till).status_code for _ in range(2)] == [200, 429]


def test_a_stranger_is_refused_ten_times_and_then_told_when_to_come_again(proxied, stopped_clock):
    statuses = [proxied.get("/series", client="10.0.0.1").status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    assert proxied.get("/series", client="10.0.0.1").headers["retry-after"] == "6"
    assert proxied.get("/series", client="10.0.0.2").status_code == 401, "each address has its own"
    assert proxied.get("/health", client="10.0.0.1").status_code == 200, "who watches us is not a stranger"
    stopped_clock[0] += 6.0
    assert proxied.get("/series", client="10.0.0.1").status_code == 401


def test_made_up_keys_are_counted_as_a_strangers_questions(proxied, stopped_clock):
    statuses = [proxied.get("/series", headers=bearer(f"tc_{n:043d}")).status_code for n in range(11)]
    assert statuses == [401] * 10 + [429]


def test_without_a_login_nothing_is_counted(rest, stopped_clock):
    assert {rest.get("/openapi.json").status_code for _ in range(150)} == {200}


def test_no_more_than_that_many_are_worked_on_at_once(rest, monkeypatch):
    """Twice as many ask; the rest wait for their turn and are answered as well."""
    at_once, most, lock = 0, 0, threading.Lock()
    together_now = threading.Barrier(shared.AT_ONCE)  # as many come at once, or it breaks
    real = incidents.listed

    def slow(*args, **how):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        together_now.wait(30)
        time.sleep(0.1)  # for one too many to come
        with lock:
            at_once -= 1
        return real(*args, **how)

    monkeypatch.setattr(incidents, "listed", slow)

    async def together():
        transport = httpx.ASGITransport(app=service.app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as caller:
            return await asyncio.gather(*(caller.get("/anomalies") for _ in range(2 * shared.AT_ONCE)))

    answers = asyncio.run(together())
    assert {answer.status_code for answer in answers} == {200}
    assert most == shared.AT_ONCE


def test_every_answer_names_its_request_and_so_do_its_lines_in_the_log(rest, monkeypatch, caplog):
    assert len(rest.get("/series").headers["x-request-id"]) == 16
    assert rest.get("/nothing", headers={"X-Request-ID": "a-walk-of-ann"}).headers["x-request-id"] == "a-walk-of-ann"
    said = []

    class Listening(logging.Handler):
        def emit(self, record):
            from trendcast import logs

            said.append((logs.request_id.get(), record.getMessage()))

    def broken(*_, **__):
        logging.getLogger("trendcast.services").warning("deep in a service, in another thread")
        raise RuntimeError("boom")

    monkeypatch.setattr(incidents, "listed", broken)
    handler = Listening()
    logging.getLogger("trendcast").addHandler(handler)
    try:
        answer = rest.get("/anomalies", headers={"X-Request-ID": "a-walk-of-ann"})
    finally:
        logging.getLogger("trendcast").removeHandler(handler)
    assert answer.status_code == 500
    assert answer.json()["error"].endswith("under a-walk-of-ann."), (
        "what a person reads out is what the log is asked for"
    )
    assert ("a-walk-of-ann", "deep in a service, in another thread") in said
    assert {mark for mark, _ in said} == {"a-walk-of-ann"}


def test_what_a_request_changed_is_noted_with_it(proxied, own_demo):
    key = keys.create(own_demo, NOW, "office", "admin", 1, "test")
    answer = proxied.post(
        "/recipients",
        json={"address": "eve@shop.example"},
        headers=bearer(key) | {"X-Request-ID": "a-change-of-eve"},
        client="10.1.2.3",
    )
    assert answer.status_code < 300, answer.text
    with own_demo.read() as connection:
        rows = connection.exec_driver_sql("SELECT actor, address FROM audit WHERE request_id = 'a-change-of-eve'").all()
    assert [tuple(row) for row in rows] == [("key:office", "10.1.2.3")]


def test_a_keys_making_use_and_end_are_on_record(db):
    key = keys.create(db, NOW, "till", "write", 30, "ann")
    assert keys.listed(db)[0]["last_used_at"] is None
    keys.find(db, key, NOW)
    keys.find(db, key, NOW + dt.timedelta(seconds=30))
    assert keys.listed(db)[0]["last_used_at"] == NOW, "written once a minute"
    keys.find(db, key, NOW + dt.timedelta(seconds=61))
    assert keys.listed(db)[0]["last_used_at"] == NOW + dt.timedelta(seconds=61)
    keys.revoke(db, NOW + dt.timedelta(minutes=2), "till", "ben")
    row = keys.listed(db)[0]
    assert (row["created_by"], row["expires_at"] - row["created_at"]) == ("ann", dt.timedelta(days=30))
    with db.read() as connection:
        noted = connection.exec_driver_sql("SELECT actor, action, object FROM audit ORDER BY id").all()
    assert [tuple(one) for one in noted] == [
        ("ann", "key created", "key:till"),
        ("ben", "key revoked", "key:till"),
    ]
