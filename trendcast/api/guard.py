"""Who may come in: pure ASGI middleware for HTTP and websocket alike.

The usual middleware classes see HTTP only; the dashboard's data goes over the websocket. So this is plain ASGI. It
stands in front of everything: pages, REST, downloads and the websocket.

- ``off``: only this machine. The peer must be loopback, the Host a loopback name (else a foreign page could reach us by
  DNS rebinding), no proxy may stand between, and a web page may only call the server it came from.
- ``proxy``: a proxy that signs people in proves itself with a shared secret, names the user and their groups; nobody
  else comes in.
- ``oidc``: people sign in at a provider and come back with a session (trendcast.sign_in); who has none is shown where
  to sign in. For what may change something a session counts only when a page of our own sends it.

In every mode a program may come with a key of the REST service instead (``Authorization: Bearer tc_...``).
What is proven goes on in USER_HEADER, ROLE_HEADER, SESSION_HEADER and SINCE_HEADER; what a client says in them itself
is dropped. Each request gets an id, the caller's own if it is sane, which stands in its answer, log lines and audit.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
import math
import re
import secrets
import signal
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from trendcast import logs
from trendcast.api.keyring import Keyring
from trendcast.errors import NotConfigured, TrendCastError
from trendcast.services import keys
from trendcast.services.people import LOCAL, Person, highest, is_reserved
from trendcast.services.sessions import Session
from trendcast.settings import Settings

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

USER_HEADER = b"x-trendcast-user"
ROLE_HEADER = b"x-trendcast-role"
SESSION_HEADER = b"x-trendcast-session"
SINCE_HEADER = b"x-trendcast-since"
SECRET_HEADER = b"x-trendcast-proxy-secret"
REQUEST_HEADER = b"x-request-id"
SECRET_LENGTH = 32
POLICY_VIOLATION = 1008

# What answers without identity: whether we live, and the assets of the empty page shell. No data is among them.
OPEN_PATHS = frozenset({"/health", "/_stcore/health", "/favicon.png"})
OPEN_PREFIXES = ("/static/",)
# The way of a sign-in, open with TRENDCAST_AUTH=oidc; each step asks the provider, so it is counted per address.
SIGN_IN_PATHS = frozenset({"/sign-in", "/sign-in/start", "/auth/login", "/auth/logout", "/oauth2callback"})
_COUNTED_STEPS = frozenset({"/auth/login", "/oauth2callback"})

_SANE_ID = re.compile(rb"[A-Za-z0-9._:+/=-]{8,100}")

_HOST = re.compile(r"(?P<name>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")
_PROXY_TRACES = frozenset(
    {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", SECRET_HEADER}
)


def is_loopback_address(address: str) -> bool:
    """Whether ``address`` is an IP address of this machine's loopback, or the name localhost."""
    if is_loopback_name(address):
        return True
    try:
        parsed = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def is_loopback_name(name: str) -> bool:
    name = name.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")


def check_settings(settings: Settings, address: str | None = None) -> None:
    """Refuse a configuration that would let strangers in; NotConfigured says which line to set.

    ``address`` is what the server will be bound to, None when it is not known (then each request is judged).
    """
    if settings.auth == "off":
        if address is not None and not is_loopback_address(address):
            raise NotConfigured(
                f"TrendCast will not listen on {address} without a login, because everybody on the network could read "
                "and change the retailer's data. Set TRENDCAST_AUTH=proxy (and TRENDCAST_PROXY_SECRET) behind a proxy "
                "that signs people in, or TRENDCAST_AUTH=oidc with a provider that does (docs/operations.md), or set "
                ' server.address = "localhost" in .streamlit/config.toml.'
            )
        return
    if settings.auth == "proxy" and len(str(settings.proxy_secret)) < SECRET_LENGTH:
        raise NotConfigured(
            f"TRENDCAST_AUTH=proxy needs TRENDCAST_PROXY_SECRET with at least {SECRET_LENGTH} characters, for "
            "example from: python -c 'import secrets; print(secrets.token_urlsafe(32))'."
        )


class Guard:
    """Lets a request through, with the proven user's name in USER_HEADER and role in ROLE_HEADER, or refuses it.

    ``find_key``: whose key this is, None for nobody's; asked for HTTP requests that come with one.
    ``find_session``: the session that a request's headers prove, None for none; asked with TRENDCAST_AUTH=oidc.
    ``sign_in``: shows a person in a browser where to sign in.
    """

    def __init__(
        self,
        app: App,
        settings: Callable[[], Settings],
        find_key: Callable[[str], Coroutine[Any, Any, Person | None]] | None = None,
        find_session: Callable[[Headers], Awaitable[Session | None]] | None = None,
        sign_in: App | None = None,
    ) -> None:
        self._app = app
        self._settings = settings
        self.keyring = Keyring(find_key) if find_key is not None else None
        self._find_session = find_session
        self._sign_in = sign_in
        self.limits = Limits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        mark = _request_id(scope["headers"])
        address = str((scope.get("client") or ("?",))[0])
        open_to_all = scope["type"] != "http" or _is_open(scope)

        async def marked(message: MutableMapping[str, Any]) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                added = [(REQUEST_HEADER, mark)]
                present = {name.lower() for name, _ in message.get("headers", [])}
                if not open_to_all and b"cache-control" not in present:
                    added.append((b"cache-control", b"private, no-store"))  # nothing on the way may keep it
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        with logs.request(mark.decode(), address):
            await self._judged(scope, receive, marked, mark, address)

    async def _judged(self, scope: Scope, receive: Receive, send: Send, mark: bytes, address: str) -> None:
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        settings = self._settings()
        refusal, person = judge(scope, headers, settings)
        session: Session | None = None
        asked = scope["type"] == "http" and not _is_open(scope) and self.keyring is not None
        key = _key_in(headers) if asked else None
        if key is not None and settings.auth == "proxy" and person and not key.startswith(keys.PREFIX):
            key = None  # what the proxy itself got from the provider, about a person it has proven
        counted = False
        if key is not None and refusal in (None, SIGN_IN):
            assert self.keyring is not None
            # A guess counts before the database is asked; whose key is good gets it back.
            counted = settings.auth != "off" and not self.keyring.costs_nothing(key)
            if counted and (wait := self.limits.guess(address)):
                await refuse(scope, receive, send, 429, TOO_MANY, retry_after=wait)
                return
            try:
                person = await self.keyring.owner(key)
            except TrendCastError as error:
                if counted:  # nobody can say whether it is good
                    self.limits.give_back(address)
                await refuse(scope, receive, send, error.status, str(error))
                return
            if counted and person is not None:
                self.limits.give_back(address)
            refusal = None if person else WRONG_KEY
        elif refusal == SIGN_IN and settings.auth == "oidc" and self._find_session is not None:
            try:
                session = await self._find_session(headers)
            except TrendCastError as error:
                await refuse(scope, receive, send, error.status, str(error))
                return
            if session is not None:
                person, refusal = session.person, _unasked(scope, headers)
        if refusal == SIGN_IN and self._sign_in is not None and settings.auth == "oidc" and _is_browsing(scope):
            await self._sign_in(scope, receive, send)
            return
        wait = 0.0
        if settings.auth != "off" and not _is_open(scope) and not (counted and refusal):
            if settings.auth == "oidc" and scope["path"] in SIGN_IN_PATHS:
                wait = self.limits.sign_in(address) if scope["path"] in _COUNTED_STEPS else 0.0
            else:
                wait = self.limits.wait(person.name if person and key else "", address if refusal else "")
        if wait:
            await refuse(scope, receive, send, 429, TOO_MANY, retry_after=wait)
            return
        if refusal is not None:
            await refuse(scope, receive, send, 401 if refusal in (SIGN_IN, WRONG_KEY) else 403, refusal)
            return
        # What a client says about itself never reaches the pages; only what we have proven does.
        private = (USER_HEADER, ROLE_HEADER, SESSION_HEADER, SINCE_HEADER, SECRET_HEADER, REQUEST_HEADER)
        kept = [(name, value) for name, value in headers if name.lower() not in private]
        kept += [(REQUEST_HEADER, mark), (SINCE_HEADER, str(int(time.time())).encode())]
        if person:
            kept += [(USER_HEADER, person.name.encode("utf-8", "replace")), (ROLE_HEADER, person.role.encode())]
        if session:
            kept.append((SESSION_HEADER, session.id.encode()))
        scope = dict(scope)
        scope["headers"] = kept
        await self._app(scope, receive, send)


class Limits:
    """How often one may ask: token buckets in memory, 60 a minute and 120 at once per key, 10 a minute per address
    that is refused, as many for keys that are not known, 60 a minute for signing in. People who are signed in are not
    counted: a page asks often."""

    KEY, STRANGER, SIGN_IN = (60 / 60, 120.0), (10 / 60, 10.0), (60 / 60, 60.0)
    MOST = 10_000  # buckets; the oldest go first

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str, stranger: str) -> float:
        """Seconds until this request would be let through; 0 when it is, and then it is counted."""
        if key:
            return self._take(f"key {key}", *self.KEY)
        return self._take(f"address {_neighbourhood(stranger)}", *self.STRANGER) if stranger else 0.0

    def guess(self, address: str) -> float:
        """The same for a key nobody knows yet. Whoever asks without any costs the database nothing, and takes nothing
        from programs at the same address whose keys are good."""
        return self._take(f"guess {_neighbourhood(address)}", *self.STRANGER)

    def give_back(self, address: str) -> None:
        """That key was good, or could not be looked up: it does not count as a guess."""
        name = f"guess {_neighbourhood(address)}"
        if name in self._buckets:
            left, since = self._buckets[name]
            self._buckets[name] = (min(self.STRANGER[1], left + 1), since)

    def sign_in(self, address: str) -> float:
        """The same for a step of signing in: more often, as a whole office may share one address."""
        return self._take(f"sign-in {_neighbourhood(address)}", *self.SIGN_IN)

    def clear(self) -> None:
        self._buckets.clear()

    def _take(self, name: str, rate: float, most: float) -> float:
        now = self._now()
        left, since = self._buckets.pop(name, (most, now))
        left = min(most, left + (now - since) * rate)
        enough = left >= 1
        self._buckets[name] = (left - 1 if enough else left, now)
        while len(self._buckets) > self.MOST:
            self._buckets.popitem(last=False)
        return 0.0 if enough else (1 - left) / rate


@lru_cache(1024)
def _neighbourhood(address: str) -> str:
    """What counts as one address: of IPv6 the network of 64 bits, all of which one machine may use."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))


SIGN_IN = "Please sign in first."
NO_MEMBER = "You are signed in, but in none of the groups that may use TrendCast. An administrator can change that."
RESERVED = "This name is reserved: people may not be called 'local' or by a name that begins with 'key:'."
TOO_MANY = "Too many requests: please wait."
WRONG_KEY = "This key is not valid: it is unknown, revoked or over."


def judge(scope: Scope, headers: Iterable[tuple[bytes, bytes]], settings: Settings) -> tuple[str | None, Person | None]:
    """(the sentence of the refusal or None, who it is or None) for one request or websocket, by what the settings
    trust; keys are asked for elsewhere."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value)
    foreign = _foreign_page(scope, values, str(settings.public_url).lower())
    if foreign:
        return foreign, None
    if settings.auth == "off":
        refusal = _not_this_machine(scope, values)
        return refusal, None if refusal else LOCAL
    if _is_open(scope):
        return None, None
    if settings.auth == "proxy":
        return _proven_person(values, settings)
    if scope["type"] == "http" and scope["path"] in SIGN_IN_PATHS:
        return (None, None) if scope["method"] in ("GET", "HEAD") else (SIGN_IN, None)
    return SIGN_IN, None


def _foreign_page(scope: Scope, values: dict[bytes, list[bytes]], public_url: str) -> str | None:
    """A browser says which page a call comes from. Another site's page may neither call us nor open the websocket; a
    websocket that does not say (no browser does that) is refused as well. Where our public name has https, a page of
    that name without it may have been made up on the way."""
    origins, hosts = values.get(b"origin", []), values.get(b"host", [])
    if len(hosts) != 1:
        return "The request must name exactly one Host."
    if not origins:
        return "A websocket must name its Origin." if scope["type"] == "websocket" else None
    host = hosts[0].decode("latin-1").lower()
    try:
        origin = urlsplit(origins[0].decode("latin-1").lower())
        same = len(origins) == 1 and origin.netloc == host
        if f"{public_url}/".startswith(f"https://{host}/"):
            same = same and origin.scheme == "https"
    except ValueError:
        same = False
    return None if same else "Pages of other sites may not call this server."


def _not_this_machine(scope: Scope, values: dict[bytes, list[bytes]]) -> str | None:
    local_only = (
        "Without a login TrendCast answers this machine only. To serve others, set TRENDCAST_AUTH=proxy and "
        "TRENDCAST_PROXY_SECRET, or TRENDCAST_AUTH=oidc."
    )
    client = scope.get("client")
    if client is None or not is_loopback_address(str(client[0])):
        return local_only
    # A proxy on this machine would make the whole network look like loopback.
    if _PROXY_TRACES & values.keys():
        return local_only
    host = _HOST.fullmatch(values[b"host"][0].decode("latin-1"))
    name = host["name"] if host else ""
    if not is_loopback_address(name):
        return "Open TrendCast under the name localhost: another name in front of this machine is not trusted."
    return None


def _is_open(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    path = str(scope["path"])
    return path in OPEN_PATHS or (path.startswith(OPEN_PREFIXES) and ".." not in path)


def _is_browsing(scope: Scope) -> bool:
    """Whether a person's browser asks for a page to show."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    return any(name.lower() == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _unasked(scope: Scope, headers: Headers) -> str | None:
    """A browser sends the session with whatever it sends us. What may change something counts only when it says that a
    page of ours sent it (that the Origin is ours has been judged before)."""
    if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
        return None
    return None if any(name.lower() == b"origin" for name, _ in headers) else SIGN_IN


def _request_id(headers: Headers) -> bytes:
    sent = [value for name, value in headers if name.lower() == REQUEST_HEADER]
    if len(sent) == 1 and _SANE_ID.fullmatch(sent[0]):
        return sent[0]
    return secrets.token_hex(8).encode()


def _proven_person(values: dict[bytes, list[bytes]], settings: Settings) -> tuple[str | None, Person | None]:
    secret = str(settings.proxy_secret).encode()
    sent = values.get(SECRET_HEADER, [])
    users = values.get(_header(settings.proxy_user_header), [])
    groups = values.get(_header(settings.proxy_role_header), [])
    if len(secret) < SECRET_LENGTH or len(sent) != 1 or not hmac.compare_digest(sent[0], secret):
        return SIGN_IN, None
    name = users[0].decode("utf-8", "replace").strip() if len(users) == 1 else ""
    if not name or len(groups) > 1:
        return SIGN_IN, None
    if is_reserved(name):
        return RESERVED, None
    told = groups[0].decode("utf-8", "replace") if groups else ""
    role = highest(told.split(","), settings)
    return (None, Person(name, role)) if role else (NO_MEMBER, None)


def _header(name: object) -> bytes:
    return str(name).lower().encode("latin-1")


def _key_in(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The key a request carries; another kind of Authorization is none of ours."""
    found = [value for name, value in headers if name.lower() == b"authorization"]
    if len(found) != 1:
        return None
    scheme, _, text = found[0].decode("latin-1").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else None


async def refuse(
    scope: Scope, receive: Receive, send: Send, status: int, sentence: str, *, retry_after: float = 0.0
) -> None:
    """Answer with the one error shape; a websocket is closed before it opens (the browser sees 403)."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""})
        return
    body = json.dumps({"success": False, "error": sentence}).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"cache-control", b"no-store"),
                *([(b"retry-after", str(math.ceil(retry_after)).encode())] if retry_after else []),
                *([(b"www-authenticate", b"Bearer")] if status == 401 else []),
            ],
        }
    )
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


class SecurityHeaders:
    """Adds what a browser should be told with every answer; a header the app has set itself stays."""

    def __init__(self, app: App, policy: str) -> None:
        self._app = app
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message.get("headers", [])}
                added = [pair for pair in self._headers if pair[0] not in present]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        await self._app(scope, receive, with_headers)


class BodyLimit:
    """Refuses a body above ``limit`` bytes, announced or streamed, with 413."""

    def __init__(self, app: App, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sentence = f"The body is larger than {self._limit // 1_000_000} MB."
        announced = next((value for name, value in scope["headers"] if name.lower() == b"content-length"), b"0")
        if not announced.isdigit() or int(announced) > self._limit:
            await refuse(scope, receive, send, 413, sentence)
            return
        # The body is read here, before anything works on it: what follows then can still be refused as a whole.
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._limit:
                await refuse(scope, receive, send, 413, sentence)
                return
        delivered = False

        async def replay() -> MutableMapping[str, Any]:
            nonlocal delivered
            if not delivered:
                delivered = True
                return {"type": "http.request", "body": bytes(body), "more_body": False}
            return await receive()

        await self._app(scope, replay, send)


def exposed_addresses() -> set[str]:
    """The addresses beyond loopback on which this process listens."""
    import psutil

    try:
        connections = psutil.Process().net_connections(kind="inet")
    except psutil.Error:  # not ours to look at on this system: each request is judged anyway
        return set()
    listening = {row.laddr.ip for row in connections if row.status == psutil.CONN_LISTEN}
    return {address for address in listening if not is_loopback_address(address)}


async def watch_binding(settings: Settings, seconds: float = 1.0) -> None:
    """Stop the server soon after its start when it listens beyond loopback without a login. A server started by other
    means than ours (``uvicorn --host 0.0.0.0``) tells its app no address, so this looks at the process itself."""
    if settings.auth != "off":
        return
    await asyncio.sleep(seconds)
    for address in await asyncio.to_thread(exposed_addresses):
        try:
            check_settings(settings, address)
        except NotConfigured as error:
            logger.error("%s", error)
            signal.raise_signal(signal.SIGINT)
            return
