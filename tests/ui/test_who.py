"""Who a page believes to be there: what the guard proved, as long as it holds."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from trendcast import logs, settings
from trendcast.errors import Unauthenticated
from trendcast.services import runtime, sessions
from trendcast.services.people import LOCAL, Person
from trendcast.ui import who


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``at("proxy", headers)``: a page in that mode, with what the guard put on its websocket."""

    def page(auth: str, headers: dict[str, str]) -> None:
        chosen = settings.load({"TRENDCAST_AUTH": auth})
        monkeypatch.setattr(runtime, "process", SimpleNamespace(settings=chosen))
        seen = SimpleNamespace(headers=headers, ip_address="10.0.0.7")
        monkeypatch.setattr(who, "st", SimpleNamespace(context=seen))

    ids, addresses = logs.request_id.set(""), logs.request_address.set("")
    yield page
    logs.request_id.reset(ids)
    logs.request_address.reset(addresses)


def headers(**more: str) -> dict[str, str]:
    return {
        "X-TrendCast-User": "ann@shop.example",
        "X-TrendCast-Role": "planner",
        "X-TrendCast-Since": str(int(time.time())),
        "X-Request-ID": "a-walk-of-ann",
    } | {f"X-TrendCast-{name}": value for name, value in more.items()}


def test_without_a_login_it_is_whoever_sits_there_whatever_is_said(at: Any) -> None:
    at("off", headers())
    assert who.actor() == LOCAL


def test_behind_a_proxy_it_is_whom_the_guard_proved(at: Any) -> None:
    at("proxy", headers())
    assert who.actor() == Person("ann@shop.example", "planner")
    # Headers are bytes, which the server reads as latin-1.
    at("proxy", headers(User="björn@shop.example".encode().decode("latin-1")))
    assert who.actor().name == "björn@shop.example"


@pytest.mark.parametrize("lost", [{"User": ""}, {"Role": ""}, {"Role": "root"}])
@pytest.mark.parametrize("auth", ["proxy", "oidc"])
def test_with_a_login_nobody_is_nobody(at: Any, auth: str, lost: dict[str, str]) -> None:
    at(auth, headers(**lost))
    with pytest.raises(Unauthenticated):
        who.actor()


def test_behind_a_proxy_a_page_is_loaded_anew_after_eight_hours(at: Any) -> None:
    at("proxy", headers(Since=str(int(time.time()) - 8 * 3600 + 60)))
    assert who.actor().role == "planner"
    for since in (str(int(time.time()) - 8 * 3600 - 60), "", "-1", "soon"):
        at("proxy", headers(Since=since))
        with pytest.raises(Unauthenticated, match="ended"):
            who.actor()


def test_a_session_says_who_it_is_and_not_the_header_beside_it(at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held: dict[str, Any] = {}
    monkeypatch.setattr(sessions.watch, "find", lambda _db, _now, session: held.get(session))
    at("oidc", headers(Session="one", Role="admin"))
    monkeypatch.setattr(who.runtime, "database", lambda: None, raising=False)
    with pytest.raises(Unauthenticated, match="ended"):
        who.actor()
    held["one"] = sessions.Session("one", Person("ann@shop.example", "viewer"), runtime.clock())
    assert who.actor() == Person("ann@shop.example", "viewer")


def test_what_the_page_does_is_noted_under_its_request(at: Any) -> None:
    at("proxy", headers())
    who.actor()
    assert (logs.request_id.get(), logs.request_address.get()) == ("a-walk-of-ann", "10.0.0.7")
