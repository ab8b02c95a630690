"""Strangers cost the database little: keys are counted before they are looked up, and health is looked at once a
second, however many ask."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading

import httpx
import pytest

from trendcast.api import app as service
from trendcast.api import guard
from trendcast.errors import DatabaseAway
from trendcast.services import health, keys

SECRET = "s" * 40
NOW = dt.datetime.now(dt.UTC)
MADE_UP = [f"tc_{number:043d}" for number in range(40)]


@pytest.fixture(scope="module")
def own_demo(clone_demo):
    return clone_demo("keyring")


@pytest.fixture
def proxied(serving, own_demo, monkeypatch):
    monkeypatch.setenv("TRENDCAST_AUTH", "proxy")
    monkeypatch.setenv("TRENDCAST_PROXY_SECRET", SECRET)
    return serving(own_demo.url)


@pytest.fixture
def hand(monkeypatch):
    """The clock of limits and memories, moved by hand."""
    hand = [0.0]
    monkeypatch.setattr(service._guard, "limits", guard.Limits(lambda: hand[0]))
    monkeypatch.setattr(service._guard.keyring, "_now", lambda: hand[0])
    monkeypatch.setattr(service._health, "_now", lambda: hand[0])
    return hand


@pytest.fixture
def looked_up(monkeypatch):
    """The keys that the database was asked for, in order."""
    asked, find = [], keys.find
    monkeypatch.setattr(keys, "find", lambda db, key, now: asked.append(key) or find(db, key, now))
    return asked


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def together(*requests, client="127.0.0.1"):
    """The statuses of (path, headers) asked for at once."""

    async def ask():
        transport = httpx.ASGITransport(app=service.app, client=(client, 1), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as caller:
            return await asyncio.gather(*(caller.get(path, headers=headers) for path, headers in requests))

    return [answer.status_code for answer in asyncio.run(ask())]


def test_made_up_keys_beyond_the_limit_are_not_looked_up_one_after_the_other_or_at_once(proxied, hand, looked_up):
    one_by_one = [proxied.get("/series", headers=bearer(key)).status_code for key in MADE_UP]
    assert one_by_one == [401] * 10 + [429] * 30
    assert len(looked_up) == 10
    at_once = together(*[("/series", bearer(key)) for key in MADE_UP], client="10.0.0.9")
    assert sorted(at_once) == [401] * 10 + [429] * 30
    assert len(looked_up) == 20, "each address has its own"


def test_a_key_is_looked_up_once_in_half_a_minute_and_a_revoked_one_works_no_longer_than_that(
    proxied, own_demo, hand, looked_up
):
    good = keys.create(own_demo, NOW, "till", "read", 1, "test")
    assert set(together(*[("/openapi.json", bearer(good))] * 40)) == {200}, "as many at once as it likes"
    assert looked_up == [good]
    keys.revoke(own_demo, NOW, "till", "test")
    hand[0] += 29.9
    assert proxied.get("/openapi.json", headers=bearer(good)).status_code == 200
    hand[0] += 0.1
    assert proxied.get("/openapi.json", headers=bearer(good)).status_code == 401
    assert looked_up == [good, good]


def test_a_good_key_comes_in_beside_somebody_who_guesses_at_the_same_address(proxied, own_demo, hand, looked_up):
    good = bearer(keys.create(own_demo, NOW, "desk", "read", 1, "test"))
    assert proxied.get("/openapi.json", headers=good).status_code == 200
    for key in MADE_UP:
        proxied.get("/series", headers=bearer(key))
    hand[0] += 1000 * guard.Limits.STRANGER[1]  # the memory is over, and the limit used up anew
    for key in MADE_UP:
        proxied.get("/series", headers=bearer(key))
    assert proxied.get("/openapi.json", headers=good).status_code == 200


def test_good_keys_use_nothing_of_what_strangers_may_ask(proxied, own_demo, hand):
    for number in range(12):
        good = keys.create(own_demo, NOW, f"desk {number}", "read", 1, "test")
        assert proxied.get("/openapi.json", headers=bearer(good)).status_code == 200
    assert [proxied.get("/series").status_code for _ in range(11)] == [401] * 10 + [429]


def test_a_good_key_comes_in_though_others_at_the_address_have_asked_without_any(proxied, own_demo, hand):
    assert [proxied.get("/series").status_code for _ in range(11)] == [401] * 10 + [429]
    made = keys.create(own_demo, NOW, "neighbour", "read", 1, "test")
    assert proxied.get("/series", headers=bearer(made)).status_code == 200


def test_keys_that_nobody_can_look_up_use_nothing_of_what_strangers_may_ask(proxied, own_demo, hand, monkeypatch):
    """While the database is away every program hears that, and comes in when it is back."""
    made = [keys.create(own_demo, NOW, f"van {number}", "read", 1, "test") for number in range(12)]

    def away(*_):
        raise DatabaseAway("The database does not answer.")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(keys, "find", away)
        assert {proxied.get("/series", headers=bearer(key)).status_code for key in made * 2} == {503}
    assert {proxied.get("/openapi.json", headers=bearer(key)).status_code for key in made} == {200}
    assert [proxied.get("/series", headers=bearer(key)).status_code for key in MADE_UP] == [401] * 10 + [429] * 30


def test_a_proxys_own_token_is_no_key_and_in_nobodys_way(proxied, hand, looked_up):
    """Proxies that sign people in can pass on what the provider gave them."""
    token = bearer("eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl")
    person = {"X-TrendCast-Proxy-Secret": SECRET, "X-Forwarded-Email": "ann@shop.example"}
    assert proxied.get("/openapi.json", headers=person | token).status_code == 200
    assert looked_up == []
    assert proxied.get("/openapi.json", headers=token).status_code == 401, "alone it proves nothing"
    assert proxied.get("/openapi.json", headers=person | bearer(MADE_UP[0])).status_code == 401


def test_a_key_is_no_way_to_the_database_where_everybody_may_ask(proxied, hand, looked_up):
    assert proxied.get("/health", headers=bearer(MADE_UP[0])).status_code == 200
    assert looked_up == []


def test_all_addresses_of_one_machine_count_as_one(proxied, hand):
    statuses = [proxied.get("/series", client=f"2001:db8:1:2:{n:x}::1").status_code for n in range(11)]
    assert statuses == [401] * 10 + [429]
    assert proxied.get("/series", client="2001:db8:1:3::1").status_code == 401
    assert proxied.get("/series", client="::ffff:10.0.0.3").status_code == 401


def test_health_is_looked_at_once_a_second_and_a_dead_database_is_told_within_it(rest, hand, monkeypatch):
    looks, state = [], {"status": "healthy", "reasons": []}

    def look(*_, **__):
        looks.append(1)
        if isinstance(state, Exception):
            raise state
        return state

    monkeypatch.setattr(health, "health", look)
    assert set(together(*[("/health", {})] * 50)) == {200}
    assert len(looks) == 1
    state = DatabaseAway("The database does not answer.")
    hand[0] += 0.9
    assert rest.get("/health").status_code == 200
    hand[0] += 0.1
    assert set(together(*[("/health", {})] * 50)) == {503}
    assert len(looks) == 2
    state = {"status": "degraded", "reasons": ["Late."]}
    hand[0] += 1.0
    assert rest.get("/health").json()["status"] == "degraded"


def test_while_health_is_being_looked_at_all_wait_for_that_look(rest, hand, monkeypatch):
    looks, both = [], threading.Event()

    def look(*_, **__):
        looks.append(1)
        both.wait(0.3)
        hand[0] += 10  # the look took longer than its answer is good for
        return {"status": "healthy", "reasons": []}

    monkeypatch.setattr(health, "health", look)
    assert set(together(*[("/health", {})] * 50)) == {200}
    assert len(looks) == 1
