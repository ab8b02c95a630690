"""Who may ask what over REST: every address has a policy, and every role gets what it says, over HTTP."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from trendcast.api import guard, policy
from trendcast.api.app import api
from trendcast.errors import Conflict, InvalidInput, NotFound
from trendcast.services import keys
from trendcast.services.people import ROLES

NOW = dt.datetime.now(dt.UTC)
SECRET = "s" * 40


def addresses():
    """(method, path) of every route the service answers; its own description among them."""
    return sorted(
        (method, route.path)
        for route in api.routes
        for method in (route.methods or ())
        if route.path != "/openapi.json"  # a plain route behind the guard, with no data
    )


def test_every_address_has_a_policy_and_every_policy_an_address():
    found = {(method, path) for method, path in addresses() if (method, path) != ("HEAD", "/docs")}
    assert found == set(policy.NEEDED)


@pytest.fixture(scope="module")
def own_demo(clone_demo):
    """A published retailer that may be written to."""
    return clone_demo("roles")


@pytest.fixture
def proxied(serving, own_demo, monkeypatch):
    """The REST service behind a proxy that signs people in."""
    monkeypatch.setenv("TRENDCAST_AUTH", "proxy")
    monkeypatch.setenv("TRENDCAST_PROXY_SECRET", SECRET)
    monkeypatch.setenv("TRENDCAST_PLANNER_GROUPS", "supply-chain")
    return serving(own_demo.url)


def signed_in(groups=None):
    headers = {"X-TrendCast-Proxy-Secret": SECRET, "X-Forwarded-Email": "ann@shop.example"}
    return headers | ({"X-Forwarded-Groups": groups} if groups else {})


def ask(rest, method, path, headers):
    body = {"json": {"product_category": "Electronics"}} if method == "POST" else {}
    return rest.request(method, re.sub(r"\{\w+\}", "1", path), headers=headers, **body)


@pytest.mark.parametrize(("method", "path"), addresses())
def test_without_identity_only_open_addresses_answer(proxied, method, path):
    if (method, path) == ("HEAD", "/docs"):
        return
    answer = ask(proxied, method, path, {})
    assert (answer.status_code == 401) == (policy.NEEDED[(method, path)] is not None)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "path"), addresses())
def test_each_role_gets_what_it_may_and_nothing_else(proxied, method, path, role):
    if (method, path) == ("HEAD", "/docs"):
        return
    needed = policy.NEEDED[(method, path)]
    allowed = needed is None or ROLES.index(role) >= ROLES.index(needed)
    answer = ask(proxied, method, path, signed_in(role))
    assert (answer.status_code == 403) == (not allowed)
    assert answer.status_code != 401


def test_groups_of_the_company_become_roles_and_unknown_ones_only_look(proxied):
    assert proxied.post("/anomalies/detect", headers=signed_in("supply-chain, canteen")).status_code != 403
    refused = proxied.post("/anomalies/detect", headers=signed_in("canteen"))
    assert refused.status_code == 403
    assert "planner" in refused.json()["error"]


def test_what_a_client_says_about_itself_counts_for_nothing(proxied):
    liar = {guard.USER_HEADER.decode(): "boss", guard.ROLE_HEADER.decode(): "admin"}
    assert proxied.get("/series", headers=liar).status_code == 401
    assert proxied.post("/anomalies/detect", headers=signed_in() | liar).status_code == 403


def test_a_key_opens_what_its_scope_says_until_it_is_revoked_or_over(proxied, own_demo):
    key = keys.create(own_demo, NOW, "cash desk", "read", 30, "test")
    bearer = {"Authorization": f"Bearer {key}"}
    assert proxied.get("/series", headers=bearer).status_code == 200
    assert proxied.post("/anomalies/detect", headers=bearer).status_code == 403
    keys.revoke(own_demo, NOW, "cash desk", "test")
    assert keys.find(own_demo, key, NOW) is None
    over = keys.create(own_demo, NOW, "till", "write", 1, "test")
    assert keys.find(own_demo, over, NOW).role == "planner"
    assert keys.find(own_demo, over, NOW + dt.timedelta(days=1, seconds=1)) is None
    assert keys.find(own_demo, key[:-1], NOW) is None
    answer = proxied.get("/series", headers={"Authorization": "Bearer tc_made-up"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_key_itself_is_nowhere_in_the_database(db):
    key = keys.create(db, NOW, "cash desk", "admin", 30, "ann")
    with db.read() as connection:
        stored = connection.exec_driver_sql("SELECT key_hash::text, name FROM api_key").all()
        noted = connection.exec_driver_sql("SELECT actor, action, object, after::text FROM audit").all()
    assert len(stored) == 1
    assert key not in str(stored) + str(noted)
    assert [tuple(row)[:3] for row in noted] == [("ann", "key created", "key:cash desk")]
    assert keys.listed(db)[0]["scopes"] == ["admin"]


def test_a_second_key_of_the_same_name_and_wrong_wishes_are_refused(db):
    keys.create(db, NOW, "cash desk", "read", 30, "ann")
    with pytest.raises(Conflict):
        keys.create(db, NOW, "cash desk", "read", 30, "ann")
    for name, scope, days in (("", "read", 30), ("a", "all", 30), ("a", "read", 0), ("a", "read", 10_000)):
        with pytest.raises(InvalidInput):
            keys.create(db, NOW, name, scope, days, "ann")
    with pytest.raises(NotFound):
        keys.revoke(db, NOW, "unheard of", "ann")


def test_a_key_that_asks_too_often_waits_and_one_may_ask_again_later():
    time = [0.0]
    limits = guard.Limits(lambda: time[0])
    answers = [limits.wait("key:till", "") for _ in range(121)]
    assert answers[:120] == [0.0] * 120
    assert answers[120] > 0
    assert limits.wait("key:other", "") == 0.0
    time[0] += 1.01
    assert limits.wait("key:till", "") == 0.0


def test_a_stranger_who_keeps_asking_is_told_to_wait(proxied):
    statuses = [proxied.get("/series").status_code for _ in range(12)]
    assert statuses[:10] == [401] * 10
    assert statuses[-1] == 429
    assert proxied.get("/series", headers=signed_in()).status_code == 200
