"""Who comes in: the guard is asked directly, scope by scope, as a server would ask it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from trendcast import settings
from trendcast.api import guard
from trendcast.errors import NotConfigured

SECRET = "s" * 40
OFF = settings.load({})
PROXY = settings.load({"TRENDCAST_AUTH": "proxy", "TRENDCAST_PROXY_SECRET": SECRET})
OIDC = settings.load({"TRENDCAST_AUTH": "oidc"})


def ask(
    chosen: settings.Settings,
    headers: dict[str, str] | list[tuple[str, str]],
    *,
    kind: str = "http",
    method: str = "GET",
    path: str = "/",
    client: tuple[str, int] | None = ("127.0.0.1", 50000),
) -> tuple[list[dict[str, Any]], list[tuple[bytes, bytes]] | None]:
    """What was answered, and the headers the app behind the guard saw (None: it saw nothing)."""
    seen: list[Any] = []
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["headers"])

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    pairs = headers.items() if isinstance(headers, dict) else headers
    scope = {
        "type": kind,
        "path": path,
        "client": client,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
    }
    if kind == "http":
        scope["method"] = method
    asyncio.run(guard.Guard(app, lambda: chosen)(scope, receive, send))
    return sent, seen[0] if seen else None


def admitted(*args: Any, **kwargs: Any) -> bool:
    return ask(*args, **kwargs)[1] is not None


@pytest.mark.parametrize("host", ["localhost", "localhost:8501", "127.0.0.1:8501", "[::1]:8501", "trendcast.localhost"])
def test_this_machine_is_served_under_its_loopback_names(host: str) -> None:
    assert admitted(OFF, {"host": host})
    assert admitted(OFF, {"host": host, "origin": f"http://{host}"}, kind="websocket")


@pytest.mark.parametrize(
    "host", ["evil.example", "192.168.1.5:8501", "localhost.evil.example", "a@localhost:1:2", "[::1", ""]
)
def test_a_foreign_name_for_this_machine_is_refused(host: str) -> None:
    """DNS rebinding: the page evil.example resolves its own name to 127.0.0.1 and is then same-origin with us."""
    assert not admitted(OFF, {"host": host})
    assert not admitted(OFF, {"host": host, "origin": f"http://{host}"}, kind="websocket")


@pytest.mark.parametrize(
    "client", [("192.168.1.5", 1), ("::ffff:10.0.0.1", 1), ("2001:db8::1", 1), ("testclient", 1), None]
)
def test_other_machines_are_refused_without_a_login(client: tuple[str, int] | None) -> None:
    sent, seen = ask(OFF, {"host": "localhost"}, client=client)
    assert seen is None
    assert sent[0]["status"] == 403
    assert "TRENDCAST_AUTH=proxy" in json.loads(sent[1]["body"])["error"]


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_a_proxy_on_this_machine_does_not_make_the_network_local(name: str) -> None:
    assert not admitted(OFF, {"host": "127.0.0.1:8501", name: "10.0.0.1"})


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:3000", "https://[", ""])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_pages_of_other_sites_call_nothing(kind: str, origin: str) -> None:
    assert not admitted(OFF, {"host": "localhost:8501", "origin": origin}, kind=kind)
    proven = {"host": "a.example", "X-TrendCast-Proxy-Secret": SECRET, "X-Forwarded-Email": "ann@shop.example"}
    assert not admitted(PROXY, {**proven, "origin": origin}, kind=kind)


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_page_without_https_is_foreign_where_ours_has_it(kind: str) -> None:
    """Whoever sits on the way can make up a page of our name, but not with our certificate."""
    https = settings.load(
        {"TRENDCAST_AUTH": "proxy", "TRENDCAST_PROXY_SECRET": SECRET, "TRENDCAST_PUBLIC_URL": "https://a.example"}
    )
    proven = {"X-TrendCast-Proxy-Secret": SECRET, "X-Forwarded-Email": "ann@shop.example"}
    assert not admitted(https, {**proven, "host": "a.example", "origin": "http://a.example"}, kind=kind)
    assert admitted(https, {**proven, "host": "a.example", "origin": "https://a.example"}, kind=kind)
    assert admitted(https, {**proven, "host": "inner:8501", "origin": "http://inner:8501"}, kind=kind)


def test_nothing_on_the_way_keeps_what_only_some_may_see() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        own = [(b"Cache-Control", b"no-cache")] if scope["path"] == "/own" else []
        await send({"type": "http.response.start", "status": 200, "headers": own})

    def kept(path: str) -> list[bytes]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost")]
        scope = {"type": "http", "method": "GET", "path": path, "client": ("127.0.0.1", 1), "headers": headers}
        asyncio.run(guard.Guard(app, lambda: OFF)(scope, send, send))
        return [value for name, value in sent[0]["headers"] if name.lower() == b"cache-control"]

    assert kept("/series") == [b"private, no-store"]
    assert kept("/own") == [b"no-cache"]
    assert kept("/static/main.js") == []


def test_a_websocket_that_hides_its_origin_is_refused() -> None:
    sent, seen = ask(OFF, {"host": "localhost:8501"}, kind="websocket")
    assert seen is None
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]


def test_two_hosts_in_one_request_are_refused() -> None:
    assert not admitted(OFF, [("host", "localhost"), ("host", "evil.example")])
    assert not admitted(OFF, {})


def test_behind_a_proxy_only_its_signed_in_users_come_in() -> None:
    good = {"host": "a.example", "X-TrendCast-Proxy-Secret": SECRET, "X-Forwarded-Email": "ann@shop.example"}
    _, seen = ask(PROXY, {**good, "X-TrendCast-User": "root@shop.example"}, client=("10.0.0.9", 1))
    assert seen is not None
    assert [value for name, value in seen if name == b"x-trendcast-user"] == [b"ann@shop.example"]
    assert b"x-trendcast-proxy-secret" not in dict(seen), "the secret goes no further"
    assert admitted(PROXY, {**good, "origin": "https://a.example"}, kind="websocket")

    for missing in ("X-TrendCast-Proxy-Secret", "X-Forwarded-Email"):
        less = {name: value for name, value in good.items() if name != missing}
        sent, seen = ask(PROXY, less)
        assert seen is None
        assert sent[0]["status"] == 401
        assert not admitted(PROXY, {**less, "origin": "https://a.example"}, kind="websocket")
    assert not admitted(PROXY, {**good, "X-TrendCast-Proxy-Secret": "x" * 40})
    assert not admitted(PROXY, {**good, "X-Forwarded-Email": " "})
    assert not admitted(PROXY, [*good.items(), ("X-Forwarded-Email", "root@shop.example")]), "two names are none"


@pytest.mark.parametrize("name", ["local", " LOCAL ", "key:till", "Key:x", "\uff4bey:x", "\u200bkey:x"])
def test_nobody_passes_for_a_key_or_for_this_machine_by_their_name(name: str) -> None:
    latin = name.encode().decode("latin-1")
    proven = {"host": "a.example", "X-TrendCast-Proxy-Secret": SECRET, "X-Forwarded-Email": latin}
    sent, seen = ask(PROXY, proven)
    assert seen is None
    assert sent[0]["status"] == 403
    assert "reserved" in json.loads(sent[1]["body"])["error"]
    assert admitted(PROXY, {**proven, "X-Forwarded-Email": "local@shop.example"})


@pytest.mark.parametrize("chosen", [PROXY, OIDC])
def test_without_identity_only_health_and_the_empty_shells_assets_answer(chosen: settings.Settings) -> None:
    host = {"host": "a.example"}
    for path in ("/health", "/_stcore/health", "/static/js/index.js", "/favicon.png"):
        assert admitted(chosen, host, path=path)
        assert admitted(chosen, host, path=path, method="HEAD")
        assert not admitted(chosen, host, path=path, method="POST")
    for path in ("/", "/forecasts", "/forecast", "/series", "/docs", "/openapi.json", "/media/1.csv",
    "/static/../media/1",
                 "/_stcore/metrics", "/_stcore/host-config", "/_stcore/agent/interact"):  # fmt: skip
        assert not admitted(chosen, host, path=path), path
    assert not admitted(chosen, {**host, "origin": "https://a.example"}, kind="websocket", path="/_stcore/stream")


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5", "shop.example"])
def test_listening_beyond_loopback_without_a_login_is_refused_and_names_the_line_to_set(address: str) -> None:
    with pytest.raises(NotConfigured, match="Set TRENDCAST_AUTH=proxy"):
        guard.check_settings(OFF, address)
    guard.check_settings(PROXY, address)


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1"])
def test_listening_on_loopback_needs_no_login(address: str) -> None:
    guard.check_settings(OFF, address)


@pytest.mark.parametrize("secret", ["", "short", "s" * 31])
def test_a_proxy_without_a_long_secret_is_refused(secret: str) -> None:
    chosen = settings.load({"TRENDCAST_AUTH": "proxy", "TRENDCAST_PROXY_SECRET": secret})
    with pytest.raises(NotConfigured, match="at least 32 characters"):
        guard.check_settings(chosen, "127.0.0.1")
    assert not admitted(chosen, {"host": "a", "X-TrendCast-Proxy-Secret": secret, "X-Forwarded-Email": "a@b"})


def test_the_service_alone_takes_keys_only_and_needs_to_know_no_provider() -> None:
    guard.check_settings(OIDC, "0.0.0.0")
    assert not admitted(OIDC, {"host": "a.example", "cookie": "_streamlit_user=x"})


def limited(body: list[bytes], announced: str | None, limit: int = 10) -> tuple[int | None, bytes | None]:
    """The status of the refusal, and the body the app behind the limit received."""
    received: list[bytes] = []
    sent: list[dict[str, Any]] = []
    parts = [{"type": "http.request", "body": part, "more_body": True} for part in body]
    parts.append({"type": "http.request", "body": b"", "more_body": False})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        received.append((await receive())["body"])

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-length", announced.encode())] if announced is not None else []
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(guard.BodyLimit(app, limit)(scope, receive, send))
    return (sent[0]["status"] if sent else None), (received[0] if received else None)


def test_a_body_up_to_the_limit_passes_whole() -> None:
    assert limited([b"01234", b"56789"], None) == (None, b"0123456789")
    assert limited([b"01234", b"56789"], "10") == (None, b"0123456789")
    assert limited([], None) == (None, b"")


def test_a_body_above_the_limit_is_refused_announced_or_not() -> None:
    assert limited([b"x"], "11") == (413, None)
    assert limited([b"01234", b"567890"], None) == (413, None)
    assert limited([b"01234", b"567890"], "5") == (413, None), "what is announced is not believed"
    assert limited([b"x"], "-1") == (413, None)
    assert limited([b"x"], "1e9") == (413, None)


# --- request ids ---


def request_id(sent: list[dict[str, Any]]) -> list[str]:
    return [value.decode() for name, value in sent[0]["headers"] if name == b"x-request-id"]


@pytest.mark.parametrize("told", ["a-walk-of-ann", "550e8400-e29b-41d4-a716-446655440000", "Root=1-67891233-abcdef01"])
def test_a_request_keeps_the_id_its_caller_gave_it(told: str) -> None:
    """In the answer, also in a refusal."""
    sent, _ = ask(PROXY, {"host": "a.example", "X-Request-ID": told}, path="/series")
    assert sent[0]["status"] == 401
    assert request_id(sent) == [told]


@pytest.mark.parametrize("told", ["", "short", "x" * 101, "a b c d e f", "id\tforged line", "id;drop table", "ü" * 10])
def test_an_id_that_is_not_sane_is_replaced(told: str) -> None:
    sent, _ = ask(PROXY, {"host": "a.example", "X-Request-ID": told}, path="/series")
    (made,) = request_id(sent)
    assert len(made) == 16
    assert made != told
    (other,) = request_id(ask(PROXY, {"host": "a.example"}, path="/series")[0])
    assert made != other


def test_two_ids_in_one_request_are_none() -> None:
    sent, _ = ask(PROXY, [("host", "a.example"), ("X-Request-ID", "a" * 20), ("X-Request-ID", "b" * 20)], path="/x")
    assert len(request_id(sent)[0]) == 16


def test_the_pages_are_told_the_id_and_nothing_a_client_made_up() -> None:
    private = ("X-TrendCast-User", "X-TrendCast-Role", "X-TrendCast-Session", "X-TrendCast-Since")
    _, seen = ask(OFF, {"host": "localhost", "X-Request-ID": "a" * 20, **dict.fromkeys(private, "admin")})
    assert seen is not None
    told = dict(seen)
    assert told[b"x-request-id"] == b"a" * 20
    assert (told[b"x-trendcast-user"], told[b"x-trendcast-role"]) == (b"local", b"admin")
    assert told[b"x-trendcast-since"].isdigit()
    assert b"x-trendcast-session" not in told
    assert [name for name, _ in seen].count(b"x-trendcast-user") == 1


def test_only_members_of_the_viewers_groups_look_when_there_are_any() -> None:
    chosen = settings.load(
        {"TRENDCAST_AUTH": "proxy", "TRENDCAST_PROXY_SECRET": SECRET, "TRENDCAST_VIEWER_GROUPS": "shop"}
    )
    good = {"host": "a.example", "X-TrendCast-Proxy-Secret": SECRET, "X-Forwarded-Email": "ann@shop.example"}
    for groups in ("shop", "canteen, shop", "viewer", "planner", "admin"):
        assert admitted(chosen, {**good, "X-Forwarded-Groups": groups}), groups
    sent, seen = ask(chosen, {**good, "X-Forwarded-Groups": "canteen"})
    assert seen is None
    assert sent[0]["status"] == 403
    assert "none of the groups" in json.loads(sent[1]["body"])["error"]


def test_steps_of_signing_in_are_counted_per_address_and_more_generously() -> None:
    time = [0.0]
    limits = guard.Limits(lambda: time[0])
    assert [limits.sign_in("10.0.0.1") for _ in range(60)] == [0.0] * 60
    assert limits.sign_in("10.0.0.1") > 0
    assert limits.sign_in("10.0.0.2") == 0.0
    time[0] = 1.0
    assert limits.sign_in("10.0.0.1") == 0.0
