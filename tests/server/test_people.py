"""People sign in at a provider: a real one on a port of its own, the real server, real sockets and cookies."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.installation import Live, start
from tests.server.provider import CLIENT, SECRET, Provider
from trendcast import settings
from trendcast.api import guard, policy
from trendcast.api.app import api
from trendcast.errors import DatabaseAway, NotConfigured
from trendcast.services import keys, people, sessions
from trendcast.services.people import ROLES, Person

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(file.stem for file in (ROOT / "pages").glob("*.py"))
COOKIE_SECRET = "a-cookie-secret-of-the-tests-0123456789"
REFUSED = (401, 403, 429)  # a stranger who asks often is told to wait; who is signed in is never counted


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    one = Provider()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def shop(clone_demo: Callable[[str], Any]) -> Any:
    return clone_demo("people")


@pytest.fixture(scope="module")
def site(shop: Any, provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A dashboard that lets people in by the provider. Its very first request is a deep link by a stranger."""
    one = start(
        tmp_path_factory.mktemp("home"),
        **provider.environment(
            DATABASE_URL=shop.url, TRENDCAST_VIEWER_GROUPS="shop", STREAMLIT_SERVER_COOKIE_SECRET=COOKIE_SECRET
        ),
    ).ready()
    try:
        try:
            one.first = one.session("forecasts")
        except InvalidStatus as refusal:
            one.first = [refusal.response.status_code]
        yield one.healthy()
    finally:
        printed = one.stop()
        # Streamlit tells why it believes a token not; nothing else may go wrong.
        assert printed.count("Traceback") == printed.count("OAuth token exchange failed") > 0, printed
        for secret in (SECRET, COOKIE_SECRET):
            assert secret not in printed


@pytest.fixture(autouse=True)
def _well_behaved(request: pytest.FixtureRequest) -> None:
    if "provider" in request.fixturenames:
        one = request.getfixturevalue("provider")
        one.spoil, one.refuses = "", False


class Browser(httpx.Client):
    """Goes where it is led, as a browser does; ``way`` is where it has been."""

    def __init__(self, site: Live) -> None:
        super().__init__(base_url=site.url, timeout=30, headers={"accept": "text/html,*/*", "connection": "close"})
        self.site, self.way = site, list[httpx.Response]()

    def go(self, path: str, **how: Any) -> httpx.Response:
        answer = self.get(path, **how)
        self.way = [answer]
        while answer.is_redirect and answer.next_request is not None:
            answer = self.send(answer.next_request)
            self.way.append(answer)
        return answer

    def sign_in(self, wanted: str = "/") -> httpx.Response:
        shown = self.go(wanted)
        found = re.search(r'<a href="(/sign-in/start\?[^"]+)">Sign in</a>', shown.text)
        assert found is not None, shown.text
        return self.go(found[1].replace("&amp;", "&"))

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    @property
    def page_headers(self) -> dict[str, str]:
        """What the browser sends with a websocket."""
        return {"Origin": self.site.url, "Cookie": self.cookie}


@pytest.fixture
def browser(site: Live) -> Iterator[Callable[[], Browser]]:
    made: list[Browser] = []

    def fresh() -> Browser:
        made.append(Browser(site))
        return made[-1]

    yield fresh
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def signed_in(site: Live, provider: Provider) -> dict[str, Browser]:
    """One signed-in person per role."""
    found = {}
    for role, group in zip(ROLES, ("shop", "supply-chain", "admin"), strict=True):
        provider.person(f"{role}@shop.example", group)
        found[role] = Browser(site)
        found[role].sign_in()
    return found


def kinds(messages: list[Any]) -> list[str]:
    return [message.WhichOneof("type") for message in messages]


def words(messages: list[Any]) -> str:
    """What a page says, without the marks that keep names from being markup."""
    return re.sub("[\u2060\u2068\u2069\\\\]", "", "\n".join(str(message) for message in messages))


# --- signing in ---


def test_a_stranger_is_shown_where_to_sign_in_and_is_led_back_to_the_page_they_wanted(
    browser: Any, provider: Provider
) -> None:
    provider.person("ann@shop.example", "supply-chain")
    ann = browser()
    shown = ann.go("/anomaly-inbox?incident=7")
    assert shown.status_code == 401
    assert "Please sign in" in shown.text
    assert "<script" not in shown.text
    landed = ann.sign_in("/anomaly-inbox?incident=7")
    assert (landed.status_code, landed.url.path, landed.url.query) == (200, "/anomaly-inbox", b"incident=7")
    assert provider.seen[-1] == "token"
    page = ann.site.session("forecasts", ann.page_headers)
    assert "Signed in as ann" in words(page)
    assert ", planner" in words(page)


def test_however_many_groups_somebody_has_the_browser_keeps_one_small_cookie(browser: Any, provider: Provider) -> None:
    many = [f"00000000-0000-0000-0000-{number:012d}" for number in range(1000)]
    provider.person("björn@shop.example", *many, "supply-chain", picture="x" * 5000)
    björn = browser()
    assert björn.sign_in().status_code == 200
    assert [name for name in björn.cookies if name.startswith("_streamlit_user")] == ["_streamlit_user"]
    assert len(björn.cookie) < 1000
    (kept,) = [c for c in björn.way[-2].headers.get_list("set-cookie") if c.startswith("_streamlit_user=.")]
    assert "HttpOnly" in kept
    assert "SameSite=lax" in kept
    assert "Max-Age=28800" in kept
    page = words(björn.site.session("forecasts", björn.page_headers))
    assert "Signed in as bj" in page
    assert ", planner" in page


@pytest.mark.parametrize("wrong", ["signature", "nonce", "audience", "issuer", "expired"])
def test_a_token_that_is_not_in_order_lets_nobody_in(browser: Any, provider: Provider, wrong: str) -> None:
    provider.person("eve@shop.example", "admin")
    provider.spoil = wrong
    eve = browser()
    landed = eve.sign_in()
    assert "Signing in did not work" in landed.text
    assert "_streamlit_user" not in eve.cookies
    assert eve.go("/forecasts").status_code == 401


def test_who_the_provider_refuses_and_who_makes_up_an_answer_stay_outside(browser: Any, provider: Provider) -> None:
    provider.person("eve@shop.example", "admin")
    provider.refuses = True
    assert "Signing in did not work" in browser().sign_in().text
    provider.refuses = False
    landed = browser().go("/oauth2callback?code=made-up&state=made-up")
    assert "Signing in did not work" in landed.text
    ann = browser()
    ann.sign_in()
    answer = next(r for r in ann.way if r.url.path == "/oauth2callback")
    assert "Signing in did not work" in browser().go(str(answer.url)).text, "an answer is good once, in one browser"


def test_who_is_in_none_of_the_groups_is_told_so_and_noted(browser: Any, provider: Provider, shop: Any) -> None:
    provider.person("otto@shop.example", "canteen")
    otto = browser()
    assert "none of the groups" in otto.sign_in().text
    assert otto.go("/forecasts").status_code == 401
    assert ("otto@shop.example", "sign-in refused") in {(row[0], row[1]) for row in noted(shop)}


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/auth/logout",
        "/sign-in",
        "evil",
        "/a\tb",
        "/%0a\n",
    ],
)
def test_a_sign_in_leads_to_no_other_site(browser: Any, provider: Provider, elsewhere: str) -> None:
    provider.person("ann@shop.example", "supply-chain")
    ann = browser()
    ann.go("/sign-in/start", params={"next": elsewhere})
    assert (ann.way[-1].url.host, ann.way[-1].url.path) == ("localhost", "/")


def noted(shop: Any) -> list[tuple[Any, ...]]:
    with shop.read() as connection:
        rows = connection.exec_driver_sql("SELECT actor, action, object, address, request_id FROM audit ORDER BY id")
        return [tuple(row) for row in rows]


def test_signing_in_and_out_is_noted_with_address_and_request(browser: Any, provider: Provider, shop: Any) -> None:
    provider.person("vera@shop.example", "shop")
    vera = browser()
    vera.headers["x-request-id"] = "a-walk-of-vera"
    vera.sign_in()
    vera.go("/auth/logout")
    mine = [row for row in noted(shop) if row[0] == "vera@shop.example"]
    assert [row[1] for row in mine] == ["signed in", "signed out"]
    assert {row[3:] for row in mine} == {("127.0.0.1", "a-walk-of-vera")}


# --- signing out ---


class Tab:
    """A page that stays open: one websocket, many reruns."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    async def run(self, page: str, fragment: str = "") -> list[Any]:
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        wish = BackMsg()
        wish.rerun_script.page_name = page
        wish.rerun_script.fragment_id = fragment
        await self._socket.send(wish.SerializeToString())
        heard = []
        while True:
            message = ForwardMsg()
            message.ParseFromString(await self._socket.recv())
            heard.append(message)
            if message.WhichOneof("type") == "script_finished":
                return heard


async def open_tab(browser: Browser) -> Any:
    from websockets.asyncio.client import connect
    from websockets.typing import Subprotocol

    return await connect(
        f"ws://localhost:{browser.site.port}/_stcore/stream",
        subprotocols=[Subprotocol("streamlit")],
        additional_headers=browser.page_headers,
        max_size=None,
    )


def test_signing_out_in_one_tab_ends_every_tab(browser: Any, provider: Provider) -> None:
    provider.person("ann@shop.example", "supply-chain")
    ann = browser()
    ann.sign_in()
    before = dict(ann.cookies)

    async def walk() -> tuple[list[Any], list[Any], list[Any]]:
        sockets = [await open_tab(ann) for _ in range(2)]
        tabs = [Tab(socket) for socket in sockets]
        shown = [await tab.run("forecasts") for tab in tabs]
        await asyncio.to_thread(ann.go, "/auth/logout")
        after = [await tabs[0].run("accuracy"), await tabs[1].run("forecasts", fragment="of-the-page")]
        for socket in sockets:
            await socket.close()
        return shown[0], after[0], after[1]

    shown, after, part = asyncio.run(walk())
    assert "Signed in as ann" in words(shown)
    for messages in (after, part):
        assert "You are signed out" in words(messages)
        assert "Signed in as" not in words(messages)
        assert "plotly" not in words(messages).lower()
    assert provider.sent_away[-1]["client_id"] == CLIENT, "the provider is told"
    assert "You are signed out" in ann.way[-1].text
    assert not ann.cookies
    # The old cookie, kept by somebody, opens nothing.
    with pytest.raises(InvalidStatus):
        ann.site.session("forecasts", {"Origin": ann.site.url, "Cookie": cookie_line(before)})
    assert ann.site.request("GET", "/series", headers={"cookie": cookie_line(before)}).status_code == 401


def cookie_line(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def test_the_button_on_the_page_signs_out(browser: Any, provider: Provider) -> None:
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    provider.person("ann@shop.example", "supply-chain")
    ann = browser()
    ann.sign_in()

    async def press() -> list[Any]:
        socket = await open_tab(ann)
        shown = await Tab(socket).run("accuracy")
        button = re.search(r'id: "(\$\$ID-[^"]*shell_sign_out)"', words(shown))
        assert button is not None
        wish = BackMsg()
        wish.rerun_script.page_name = "accuracy"
        state = wish.rerun_script.widget_states.widgets.add()
        state.id, state.trigger_value = button[1], True
        await socket.send(wish.SerializeToString())
        heard = []
        while not heard or heard[-1].WhichOneof("type") != "script_finished":
            message = ForwardMsg()
            message.ParseFromString(await socket.recv())
            heard.append(message)
        await socket.close()
        return heard

    heard = asyncio.run(press())
    assert [message.auth_redirect.url for message in heard if message.WhichOneof("type") == "auth_redirect"] == [
        "/auth/logout"
    ]
    with pytest.raises(InvalidStatus):
        ann.site.session("forecasts", ann.page_headers)


def test_another_site_cannot_sign_somebody_out(browser: Any, provider: Provider) -> None:
    provider.person("ann@shop.example", "supply-chain")
    ann = browser()
    ann.sign_in()
    ann.go("/auth/logout", headers={"sec-fetch-site": "cross-site"})
    assert ann.go("/forecasts").status_code == 200


def test_the_next_sign_in_of_a_browser_ends_the_one_before(browser: Any, provider: Provider) -> None:
    provider.person("ann@shop.example", "admin")
    shared = browser()
    shared.sign_in()
    first = shared.page_headers
    provider.person("ben@shop.example", "shop")
    shared.go("/sign-in/start")
    assert "Signed in as ben" in words(shared.site.session("forecasts", shared.page_headers))
    with pytest.raises(InvalidStatus):
        shared.site.session("forecasts", first)


# --- who may what ---


def test_every_page_has_a_policy_and_every_policy_a_page() -> None:
    from trendcast.ui import shell

    assert set(people.PAGES) == set(PAGES) == {Path(row[0]).stem for row in shell.PAGES}
    assert set(people.PAGES.values()) <= set(ROLES)


def test_a_deep_link_as_the_very_first_request_of_a_stranger_is_refused(site: Live) -> None:
    assert site.first == [403]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_for_the_roles_its_policy_names_and_for_no_stranger(
    site: Live, signed_in: dict[str, Browser], page: str
) -> None:
    for headers in ({"Origin": site.url}, {"Origin": site.url, "Cookie": "_streamlit_user=made.up.it"}, {}):
        with pytest.raises(InvalidStatus) as refusal:
            site.session(page, headers)
        assert refusal.value.response.status_code == 403
        assert refusal.value.response.body in (b"", None)
    assert site.request("GET", f"/{page}").status_code in REFUSED
    needed = ROLES.index(people.PAGES[page])
    for role, person in signed_in.items():
        assert person.go(f"/{page}").status_code == 200, "the empty shell"
        messages = site.session(page, person.page_headers)
        allowed = ROLES.index(role) >= needed
        assert ("This needs the role" not in words(messages)) == allowed
        assert f"Signed in as {role}" in words(messages)
        assert "state_broken" not in words(messages)
        assert "exception" not in kinds(messages)


def test_a_websocket_without_its_origin_is_refused_even_with_a_session(
    site: Live, signed_in: dict[str, Browser]
) -> None:
    cookie = signed_in["admin"].cookie
    for headers in ({"Cookie": cookie}, {"Cookie": cookie, "Origin": "http://evil.example"}):
        with pytest.raises(InvalidStatus):
            site.session("forecasts", headers)


def test_what_a_browser_says_about_itself_counts_for_nothing(site: Live, signed_in: dict[str, Browser]) -> None:
    lie = {"X-TrendCast-User": "boss", "X-TrendCast-Role": "admin", "X-TrendCast-Session": "1"}
    assert site.request("GET", "/series", headers=lie).status_code in REFUSED
    messages = site.session("accuracy", signed_in["viewer"].page_headers | lie)
    assert "Signed in as viewer" in words(messages)
    assert "boss" not in words(messages)


def addresses() -> list[tuple[str, str]]:
    return sorted(
        (method, str(getattr(route, "path")))  # noqa: B009
        for route in api.routes
        for method in (getattr(route, "methods", None) or ())
        if getattr(route, "path", "") != "/openapi.json"
    )


def test_every_address_of_the_rest_service_is_for_the_roles_its_policy_names(
    site: Live, signed_in: dict[str, Browser]
) -> None:
    """By the session of a browser, as /docs in the dashboard's own tab would ask; one pass over all of them, as each
    stranger's question counts."""
    for method, path in addresses():
        if (method, path) == ("HEAD", "/docs"):
            continue
        needed = policy.NEEDED[(method, path)]
        address = re.sub(r"\{\w+\}", "1", path)
        for role, person in signed_in.items():
            headers = {"cookie": person.cookie, "origin": site.url, "accept": "application/json"}
            answer = site.request(method, address, headers=headers, **({"json": {}} if method != "GET" else {}))
            allowed = needed is None or ROLES.index(role) >= ROLES.index(needed)
            assert (answer.status_code != 403) == allowed, (method, path, role, answer.text)
            assert answer.status_code not in (401, 429), (method, path, role, answer.text)
        if needed is not None:
            assert site.request(method, address).status_code in REFUSED, (method, path)


def test_a_session_changes_something_only_from_a_page_of_ours(site: Live, signed_in: dict[str, Browser]) -> None:
    """A form on another site would send the cookie along."""
    cookie = {"cookie": signed_in["planner"].cookie}
    ask = {"product_category": "Electronics"}
    assert site.request("POST", "/forecast", json=ask, headers=cookie).status_code in REFUSED
    foreign = cookie | {"origin": "http://evil.example"}
    assert site.request("POST", "/forecast", json=ask, headers=foreign).status_code in REFUSED
    assert site.request("POST", "/forecast", json=ask, headers=cookie | {"origin": site.url}).status_code == 200


def test_programs_come_with_a_key(site: Live, shop: Any) -> None:
    key = keys.create(shop, datetime.now(UTC), "till", "read", 1, "test")
    assert site.request("GET", "/series", headers={"authorization": f"Bearer {key}"}).status_code == 200


def test_downloads_and_inner_addresses_ask_for_a_session(site: Live, signed_in: dict[str, Browser]) -> None:
    for path in ("/media/1.csv", "/_stcore/metrics", "/_stcore/host-config", "/docs", "/openapi.json"):
        assert site.request("GET", path).status_code in REFUSED, path
    assert signed_in["viewer"].get("/_stcore/host-config").status_code == 200


# --- sessions ---

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
ANN = Person("ann@shop.example", "planner")


def test_a_session_lasts_eight_hours_and_not_a_second_longer(db: Any) -> None:
    made = sessions.begin(db, NOW, ANN, "https://id.example 1")
    assert sessions.find(db, NOW + timedelta(hours=8) - timedelta(seconds=1), made.id) == made
    assert sessions.find(db, NOW + timedelta(hours=8), made.id) is None
    assert sessions.find(db, NOW, "made-up") is None
    assert sessions.find(db, NOW, "00000000-0000-0000-0000-000000000000") is None


def test_an_administrator_ends_all_sessions_of_somebody(db: Any) -> None:
    mine = [sessions.begin(db, NOW, ANN, "1") for _ in range(3)]
    other = sessions.begin(db, NOW, Person("ben@shop.example", "viewer"), "2")
    assert len(sessions.listed(db, NOW)) == 4
    assert sessions.end_all(db, NOW, ANN.name, "root") == 3
    assert [sessions.find(db, NOW, one.id) for one in mine] == [None] * 3
    assert sessions.find(db, NOW, other.id) == other
    assert sessions.end(db, NOW, mine[0].id) is None


def test_the_database_is_asked_once_a_minute_per_session_and_an_end_counts_within_it(db: Any) -> None:
    time_, asked = [0.0], []

    def database() -> Any:
        asked.append(1)
        return db

    watch = sessions.Watch(lambda: time_[0])
    made = sessions.begin(db, NOW, ANN, "1")
    for _ in range(10):
        assert watch.find(database, NOW, made.id) == made
    assert len(asked) == 1
    sessions.end(db, NOW, made.id)  # by another process: this watch has not heard of it
    time_[0] = 59.0
    assert watch.find(database, NOW, made.id) == made
    time_[0] = 60.0
    assert watch.find(database, NOW, made.id) is None


def test_the_own_end_of_a_session_needs_no_database() -> None:
    watch = sessions.Watch(lambda: 0.0)
    made = sessions.Session("a", ANN, NOW + timedelta(hours=8))
    watch._known["a"] = (0.0, made)
    assert watch.known("a", NOW + timedelta(hours=8)) == (True, None)


def test_while_the_database_is_away_who_was_in_stays_in_and_nobody_else_comes(db: Any) -> None:
    time_ = [0.0]

    def away() -> Any:
        raise DatabaseAway("away")

    watch = sessions.Watch(lambda: time_[0])
    made = sessions.begin(db, NOW, ANN, "1")
    watch.find(lambda: db, NOW, made.id)
    time_[0] = 3600.0
    assert watch.find(away, NOW, made.id) == made
    assert watch.known(made.id, NOW + timedelta(hours=8))[1] is None
    with pytest.raises(DatabaseAway):
        watch.find(away, NOW, "00000000-0000-0000-0000-000000000000")


# --- settings ---

GOOD = {
    "TRENDCAST_AUTH": "oidc",
    "TRENDCAST_OIDC_METADATA_URL": "https://id.example/.well-known/openid-configuration",
    "TRENDCAST_OIDC_CLIENT_ID": "trendcast",
    "TRENDCAST_OIDC_CLIENT_SECRET": SECRET,
    "TRENDCAST_PUBLIC_URL": "https://trendcast.example",
}


@pytest.mark.parametrize(
    ("change", "cookie", "address", "names"),
    [
        ({"TRENDCAST_OIDC_METADATA_URL": ""}, COOKIE_SECRET, "0.0.0.0", "TRENDCAST_OIDC_METADATA_URL"),
        ({"TRENDCAST_OIDC_CLIENT_ID": ""}, COOKIE_SECRET, "0.0.0.0", "TRENDCAST_OIDC_CLIENT_ID"),
        ({"TRENDCAST_OIDC_CLIENT_SECRET": ""}, COOKIE_SECRET, "0.0.0.0", "TRENDCAST_OIDC_CLIENT_SECRET"),
        ({"TRENDCAST_OIDC_CLIENT_SECRET": "changeme"}, COOKIE_SECRET, "0.0.0.0", "is a placeholder"),
        ({"TRENDCAST_OIDC_METADATA_URL": "http://id.example/x"}, COOKIE_SECRET, "0.0.0.0", "begin with https"),
        ({"TRENDCAST_OIDC_REDIRECT_URI": "https://trendcast.example/back"}, COOKIE_SECRET, "0.0.0.0", "oauth2callback"),
        ({"TRENDCAST_PUBLIC_URL": "http://trendcast.example"}, COOKIE_SECRET, "0.0.0.0", "begin with https"),
        ({}, None, "0.0.0.0", "STREAMLIT_SERVER_COOKIE_SECRET"),
        ({}, None, "localhost", "STREAMLIT_SERVER_COOKIE_SECRET"),
        ({}, "short", "0.0.0.0", "STREAMLIT_SERVER_COOKIE_SECRET"),
        ({"TRENDCAST_PUBLIC_URL": "http://localhost:8501"}, "short", "localhost", "STREAMLIT_SERVER_COOKIE_SECRET"),
    ],
)
def test_what_is_missing_or_unsafe_is_named_at_the_start(
    change: dict[str, str], cookie: str | None, address: str, names: str
) -> None:
    from trendcast import sign_in

    sign_in.check(settings.load(GOOD), "0.0.0.0", COOKIE_SECRET)
    with pytest.raises(NotConfigured, match=names):
        sign_in.check(settings.load(GOOD | change), address, cookie)


def test_the_server_does_not_start_without_them(tmp_path: Path, servers: Callable[..., Any]) -> None:
    live = servers(tmp_path, TRENDCAST_AUTH="oidc")
    printed = live.ended()
    assert live.process.returncode == 1
    assert "TRENDCAST_OIDC_METADATA_URL" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("claims", "path", "role"),
    [
        ({"groups": ["admin"]}, "groups", "admin"),
        ({"groups": ["a", "supply-chain"]}, "groups", "planner"),
        ({"groups": "supply-chain"}, "groups", "planner"),
        ({"groups": "x,admin"}, "groups", "viewer"),
        ({"groups": ["cn=x,admin,dc=shop"]}, "groups", "viewer"),
        ({"groups": {"admin": True}}, "groups", "viewer"),
        ({"groups": [["admin"]]}, "groups", "viewer"),
        ({}, "groups", "viewer"),
        ({"realm_access": {"roles": ["admin"]}}, "realm_access.roles", "admin"),
        ({"https://shop.example/roles": ["admin"]}, "https://shop.example/roles", "admin"),
        ({"realm_access": ["admin"]}, "realm_access.roles", "viewer"),
    ],
)
def test_the_role_comes_from_the_claim_that_was_named(claims: dict[str, Any], path: str, role: str) -> None:
    from trendcast import sign_in

    chosen = settings.load(GOOD | {"TRENDCAST_OIDC_ROLE_CLAIM": path, "TRENDCAST_PLANNER_GROUPS": "supply-chain"})
    assert sign_in.person_of({"sub": "1", "email": "ann@shop.example", **claims}, chosen)[1] == role


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"email": "ann@shop.example"}, "ann@shop.example"),
        ({"email": "boss@shop.example", "email_verified": False}, "id-1"),
        ({"email": "boss@shop.example", "email_verified": "false"}, "id-1"),
        ({"email": "boss@shop.example", "email_verified": "true"}, "boss@shop.example"),
        ({"email": "boss@shop.example\r\nX-TrendCast-Role: admin"}, "id-1"),
        ({"email": "\u202ennA"}, "id-1"),
        ({"email": "a" * 300}, "id-1"),
        ({"email": ["x@shop.example"]}, "x@shop.example"),
        ({"email": "key:till"}, "id-1"),
        ({"email": " Local "}, "id-1"),
        ({"email": "key:till", "sub": "local"}, ""),
        ({}, "id-1"),
    ],
)
def test_a_name_that_is_not_proven_or_cannot_be_shown_gives_way_to_the_providers_number(
    claims: dict[str, Any], name: str
) -> None:
    from trendcast import sign_in

    assert sign_in.person_of({"sub": "id-1", **claims}, settings.load(GOOD))[0] == name


@pytest.mark.parametrize(
    ("said", "role"),
    [
        ({"email_verified": True}, "admin"),
        ({"email_verified": "true"}, "admin"),
        ({"email_verified": False}, "viewer"),
        ({"email_verified": "false"}, "viewer"),
        ({"email_verified": None}, "viewer"),
        ({}, "viewer"),
    ],
)
def test_an_address_gives_a_role_only_when_the_provider_has_verified_it(said: dict[str, Any], role: str) -> None:
    from trendcast import sign_in

    chosen = settings.load(GOOD | {"TRENDCAST_OIDC_ROLE_CLAIM": "email", "TRENDCAST_ADMIN_GROUPS": "boss@shop.example"})
    assert sign_in.person_of({"sub": "id-1", "email": "boss@shop.example", **said}, chosen)[1] == role


def test_nobody_without_a_number_or_a_name_comes_in() -> None:
    from trendcast import sign_in

    assert sign_in.person_of({"groups": ["admin"]}, settings.load(GOOD)) == ("", None)


@pytest.mark.parametrize(("hours", "drawn"), [(7.9, "of-the-page"), (8.1, "")])
def test_behind_a_proxy_a_websocket_of_eight_hours_has_its_page_drawn_anew_as_a_whole(hours: float, drawn: str) -> None:
    """A fragment drawn alone would never ask again who is there."""
    from streamlit.proto.BackMsg_pb2 import BackMsg

    from trendcast import server, sign_in

    chosen = {"TRENDCAST_AUTH": "proxy", "TRENDCAST_PROXY_SECRET": "s" * 40}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in chosen.items():
            patch.setenv(name, value)
        assert any(one.cls is sign_in.Aging for one in server.middleware())
    wish = BackMsg()
    wish.rerun_script.fragment_id = "of-the-page"
    seen: list[BackMsg] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        seen.append(BackMsg.FromString((await receive())["bytes"]))

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.receive", "bytes": wish.SerializeToString()}

    async def send(message: Any) -> None: ...

    since = str(int(datetime.now(UTC).timestamp() - hours * 3600)).encode()
    scope = {"type": "websocket", "path": "/_stcore/stream", "headers": [(guard.SINCE_HEADER, since)]}
    asyncio.run(sign_in.Aging(page)(scope, receive, send))
    assert [one.rerun_script.fragment_id for one in seen] == [drawn]


@pytest.mark.parametrize(("public", "marked"), [("https://trendcast.example", True), ("http://localhost:8501", False)])
def test_behind_https_every_cookie_is_for_https_only(
    public: str, marked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streamlit's own too, such as the state of a sign-in: it does not know of the proxy's certificate."""
    from trendcast import sign_in
    from trendcast.services import runtime

    chosen = settings.load({"TRENDCAST_AUTH": "oidc", "TRENDCAST_PUBLIC_URL": public})
    monkeypatch.setattr(runtime.process, "_settings", chosen)
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        cookies = [(b"set-cookie", b"state=1; path=/; httponly"), (b"set-cookie", b"own=secure; Path=/; Secure")]
        await send({"type": "http.response.start", "status": 200, "headers": cookies})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/auth/login", "headers": []}
    asyncio.run(sign_in.SignIn(app)(scope, send, send))
    ends = [value.endswith(b"; Secure") for _, value in sent[0]["headers"]]
    assert ends == [marked, True]
    assert all(value.count(b"; Secure") <= 1 for _, value in sent[0]["headers"])
