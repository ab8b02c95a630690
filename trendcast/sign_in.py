"""Signing in at an OpenID Connect provider (TRENDCAST_AUTH=oidc), around Streamlit's ``st.login``.

Streamlit talks to the provider: `/auth/login` sends people there with state, nonce and PKCE, `/oauth2callback` checks
what they bring back. What it would keep then is all their claims and tokens, in signed cookies of any size for thirty
days; a person with many groups has more of them than proxies and the websocket take. So this stands around it:

- On the way back it reads the claims, makes a session in our own table (trendcast.services.sessions) and leaves the
  browser one small cookie of the same name and signature: who it is, and the session's id. ``st.user`` and
  ``st.logout`` go on to work.
- On the way out it ends the session.
- In between it finds the session of a request for the guard, and turns what comes over a websocket whose session is
  over into a whole rerun, which says so.
- It shows who is not signed in where to do so, and leads them back to the page they wanted.

What is imported from inside Streamlit is here and in trendcast.server. If it is renamed the server does not start.
"""

from __future__ import annotations

import asyncio
import base64
import html
import json
import logging
import time
import unicodedata
from collections.abc import Mapping, MutableMapping
from functools import cache
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from google.protobuf.message import DecodeError
from streamlit import config
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.user_info import generate_login_redirect_url
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value, decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from trendcast.api import guard
from trendcast.errors import NotConfigured, TrendCastError
from trendcast.services import runtime, sessions
from trendcast.services.people import Person, highest, is_reserved
from trendcast.settings import Settings

logger = logging.getLogger(__name__)

CALLBACK = "/oauth2callback"
AFTER_COOKIE = "trendcast_after"
AFTER_SECONDS = 600
SECRET_LENGTH = 32
PLACEHOLDERS = frozenset({"", "...", "xxx", "changeme", "change-me", "changethis", "change_me", "secret", "password"})
NAME_LENGTH = 200
REDIRECTS = (301, 302, 303, 307, 308)

SAID = {
    "": "Please sign in to see the forecasts.",
    "out": "You are signed out.",
    "failed": "Signing in did not work. Please try again; if it fails again, tell an administrator.",
    "nobody": guard.NO_MEMBER,
}


# --- settings ---


def redirect_uri(settings: Settings) -> str:
    """Where the provider sends people back to."""
    return str(settings.oidc_redirect_uri) or f"{settings.public_url}{CALLBACK}"


def check(settings: Settings, address: str, cookie_secret: str | None) -> None:
    """NotConfigured names what is missing or unsafe. ``cookie_secret``: Streamlit's, None when it made one up itself,
    which will do on one machine only."""
    if settings.auth != "oidc":
        return
    for name in ("METADATA_URL", "CLIENT_ID", "CLIENT_SECRET"):
        if not str(getattr(settings, f"oidc_{name.lower()}")):
            raise NotConfigured(f"TRENDCAST_AUTH=oidc needs TRENDCAST_OIDC_{name}. docs/operations.md has an example.")
    uri = redirect_uri(settings)
    for name, url, end in (
        ("TRENDCAST_OIDC_METADATA_URL", str(settings.oidc_metadata_url), ""),
        ("TRENDCAST_OIDC_REDIRECT_URI", uri, CALLBACK),
    ):
        parts = urlsplit(url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and guard.is_loopback_address(parts.hostname or ""))
        if not safe or not url.endswith(end):
            raise NotConfigured(f"{name}={url} must begin with https://" + (f" and end with {end}." if end else "."))
    if cookie_secret is not None and len(cookie_secret) < SECRET_LENGTH:
        raise NotConfigured(_secret_wanted())
    if guard.is_loopback_address(address) and guard.is_loopback_address(urlsplit(uri).hostname or ""):
        return
    if cookie_secret is None:
        raise NotConfigured(_secret_wanted())
    if str(settings.oidc_client_secret).lower() in PLACEHOLDERS:
        raise NotConfigured("TRENDCAST_OIDC_CLIENT_SECRET is a placeholder: set the one the provider gave.")


def _secret_wanted() -> str:
    return (
        f"TRENDCAST_AUTH=oidc needs STREAMLIT_SERVER_COOKIE_SECRET with at least {SECRET_LENGTH} characters, the same "
        "on every replica, for example from: python -c 'import secrets; print(secrets.token_urlsafe(32))'."
    )


def cookie_secret() -> str | None:
    """What cookies are signed with, if somebody set it; None when Streamlit made it up for this process."""
    return str(config.get_option("server.cookieSecret")) if config.is_manually_set("server.cookieSecret") else None


def secrets(settings: Settings) -> dict[str, Any]:
    """What Streamlit is told about the provider, in place of a secrets file."""
    if settings.auth != "oidc":
        return {}
    return {
        "auth": {
            "redirect_uri": redirect_uri(settings),
            "cookie_secret": str(config.get_option("server.cookieSecret")),
            "client_id": str(settings.oidc_client_id),
            "client_secret": str(settings.oidc_client_secret),
            "server_metadata_url": str(settings.oidc_metadata_url),
            "client_kwargs": {"scope": str(settings.oidc_scope), "prompt": "select_account"},
        }
    }


# --- who it is ---


def claimed(claims: Mapping[str, Any], path: str) -> list[str]:
    """The names a claim holds, one or many. Dots lead into nested claims, unless a claim's own name has them."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for step in path.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return [found]
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def person_of(claims: Mapping[str, Any], settings: Settings) -> tuple[str, str | None]:
    """(the person's name, their role or None). A name that the provider has not verified, that is reserved, or that
    cannot be shown, gives way to the provider's own number for them. An address gives a role only when it is
    verified."""
    path = str(settings.oidc_name_claim)
    told = claims.get("email_verified")
    verified = told is True or told == "true"
    name = next(iter(claimed(claims, path)), "").strip()
    if path == "email" and told is not None and not verified:
        name = ""
    if not _usable(name):
        name = "".join(c for c in str(claims.get("sub", "")) if c.isprintable())[:NAME_LENGTH].strip()
    if not _usable(name):
        return "", None
    role_path = str(settings.oidc_role_claim)
    return name, highest(claimed(claims, role_path) if role_path != "email" or verified else [], settings)


def _usable(name: str) -> bool:
    shown = len(name) <= NAME_LENGTH and not any(unicodedata.category(c)[0] == "C" for c in name)
    return bool(name) and shown and not is_reserved(name)


# --- cookies ---


def _cookies(headers: guard.Headers) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        if name.lower() == b"cookie":
            for part in value.decode("latin-1").split(";"):
                key, _, text = part.strip().partition("=")
                found.setdefault(key, text)
    return found


def _signed(name: str, text: str | None, seconds: float) -> bytes | None:
    if not text:
        return None
    return decode_signed_value(get_cookie_secret(), name, text.encode("latin-1"), max_age_days=seconds / 86400)


def session_id(headers: guard.Headers) -> str | None:
    """The id of the session that a request's cookie proves; None without one, or when it is too old."""
    text = _signed(USER_COOKIE_NAME, _cookies(headers).get(USER_COOKIE_NAME), sessions.LONGEST.total_seconds())
    try:
        found = json.loads(text).get("session") if text else None
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


async def find_session(headers: guard.Headers) -> sessions.Session | None:
    """The session of a request, for the guard. DatabaseAway when that cannot be known."""
    found = session_id(headers)
    if found is None:
        return None
    now = runtime.clock()
    known, session = sessions.watch.known(found, now)
    return session if known else await asyncio.to_thread(sessions.watch.find, runtime.database, now, found)


def _set_cookie(name: str, value: str, seconds: int, settings: Settings) -> tuple[bytes, bytes]:
    secure = "; Secure" if redirect_uri(settings).startswith("https://") else ""
    return b"set-cookie", f"{name}={value}; HttpOnly; Max-Age={seconds}; Path=/; SameSite=lax{secure}".encode()


def _secure(send: guard.Send) -> guard.Send:
    """Streamlit marks its own cookies, such as the state of a sign-in, for https only where it has the certificate
    itself; here a proxy has it."""

    async def marked(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = [
                (name, value + b"; Secure")
                if name.lower() == b"set-cookie" and b"secure" not in value.lower().replace(b" ", b"").split(b";")
                else (name, value)
                for name, value in message.get("headers", [])
            ]
            message = {**message, "headers": headers}
        await send(message)

    return marked


# --- the middleware ---


class SignIn:
    """Stands between the guard and Streamlit; see the module."""

    def __init__(self, app: guard.App) -> None:
        self._app = app

    async def __call__(self, scope: guard.Scope, receive: guard.Receive, send: guard.Send) -> None:
        if scope["type"] == "http" and redirect_uri(runtime.process.settings).startswith("https://"):
            send = _secure(send)
        if scope["type"] == "websocket":
            await self._app(scope, _whole_when_over(scope, receive), send)
        elif scope["type"] == "http" and scope["path"] in guard.SIGN_IN_PATHS:
            steps = {"/sign-in": page, "/sign-in/start": _start, CALLBACK: self._back, "/auth/logout": self._out}
            await steps.get(scope["path"], self._app)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _out(self, scope: guard.Scope, receive: guard.Receive, send: guard.Send) -> None:
        # Another site may not sign people out by a picture or a link.
        site = next((value for name, value in scope["headers"] if name.lower() == b"sec-fetch-site"), b"none")
        if site == b"cross-site":
            await _redirect(send, "/")
            return
        ended = session_id(scope["headers"])
        if ended is not None:
            try:
                await asyncio.to_thread(sessions.end, runtime.database(), runtime.clock(), ended)
            except TrendCastError as error:
                await guard.refuse(scope, receive, send, error.status, str(error))
                return
        await self._app(scope, receive, send)

    async def _back(self, scope: guard.Scope, receive: guard.Receive, send: guard.Send) -> None:
        """Streamlit's answer to what the provider sends back, with our session in place of its cookies."""
        status, body = 500, b""
        headers: list[tuple[bytes, bytes]] = []

        async def hold(message: MutableMapping[str, Any]) -> None:
            nonlocal status, headers, body
            if message["type"] == "http.response.start":
                status, headers = message["status"], list(message.get("headers", []))
            else:
                body += message.get("body", b"")

        await self._app(scope, receive, hold)
        settings = runtime.process.settings
        claims, kept = _claims(headers)
        if claims is None:
            asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            where = "/sign-in?why=" + ("failed" if {"code", "error"} & asked.keys() else "out")
        else:
            try:
                cookie = await asyncio.to_thread(_begin, scope, claims, settings)
            except TrendCastError as error:
                await guard.refuse(scope, receive, send, error.status, str(error))
                return
            if cookie is None:
                where = "/sign-in?why=nobody"
            else:
                where = _after(_cookies(scope["headers"]).get(AFTER_COOKIE))
                kept.append(_set_cookie(USER_COOKIE_NAME, cookie, int(sessions.LONGEST.total_seconds()), settings))
            kept.append(_set_cookie(AFTER_COOKIE, "", 0, settings))
        if status in REDIRECTS:
            kept = [(name, value) for name, value in kept if name.lower() != b"location"]
            kept.append((b"location", where.encode()))
        await send({"type": "http.response.start", "status": status, "headers": kept})
        await send({"type": "http.response.body", "body": body})


class Aging:
    """With TRENDCAST_AUTH=proxy: a websocket is as good as a session for eight hours, then its page has to be loaded
    anew through the proxy."""

    def __init__(self, app: guard.App) -> None:
        self._app = app

    async def __call__(self, scope: guard.Scope, receive: guard.Receive, send: guard.Send) -> None:
        await self._app(scope, _whole_when_over(scope, receive) if scope["type"] == "websocket" else receive, send)


def _claims(headers: list[tuple[bytes, bytes]]) -> tuple[dict[str, Any] | None, list[tuple[bytes, bytes]]]:
    """(what Streamlit was about to keep about the person, the headers without it)."""
    values: dict[str, str] = {}
    kept = []
    for name, value in headers:
        if name.lower() == b"set-cookie":
            try:
                morsels = SimpleCookie(value.decode("latin-1"))
            except CookieError:
                morsels = SimpleCookie()
            ours = {key: morsel.value for key, morsel in morsels.items() if key.startswith(USER_COOKIE_NAME)}
            if ours and all(ours.values()):
                values |= ours
                continue
        kept.append((name, value))
    text = get_cookie_with_chunks(lambda name: _signed(name, values.get(name), 60), USER_COOKIE_NAME)
    found = json.loads(text) if text else None
    return (found if isinstance(found, dict) else None), kept


def _begin(scope: guard.Scope, claims: dict[str, Any], settings: Settings) -> str | None:
    """The cookie of a new session; None for somebody who may not come in. A session this browser had before is over."""
    db, now = runtime.database(), runtime.clock()
    name, role = person_of(claims, settings)
    subject = f"{claims.get('iss', '')} {claims.get('sub', '')}"
    if not name or role is None:
        sessions.refused(db, name or subject, "in none of the groups")
        logger.warning("Somebody signed in who may not use TrendCast: %s", name)
        return None
    earlier = session_id(scope["headers"])
    if earlier is not None:
        sessions.end(db, now, earlier)
    made = sessions.begin(db, now, Person(name, role), subject)
    logger.info("%s signed in as %s", name, role)
    keep = {key: claims[key] for key in ("origin", "is_logged_in", "provider") if key in claims}
    text = json.dumps({**keep, "name": name, "session": made.id})
    return create_signed_value(get_cookie_secret(), USER_COOKIE_NAME, text).decode()


def _whole_when_over(scope: guard.Scope, receive: guard.Receive) -> guard.Receive:
    """What a page sends asks for a part of it to be drawn anew (a fragment); once the session is over it asks for the
    whole page, which then says that it is over."""
    told = dict(scope["headers"])
    mine, since = told.get(guard.SESSION_HEADER, b"").decode(), int(told.get(guard.SINCE_HEADER, b"0"))

    async def over() -> bool:
        return await _over(mine) if mine else time.time() - since > sessions.LONGEST.total_seconds()

    async def heard() -> MutableMapping[str, Any]:
        message = await receive()
        if message["type"] == "websocket.receive" and message.get("bytes") and await over():
            asked = BackMsg()
            try:
                asked.ParseFromString(message["bytes"])
            except DecodeError:  # Streamlit says what is wrong with it
                return message
            if asked.WhichOneof("type") == "rerun_script":
                asked.rerun_script.ClearField("fragment_id")
                return {**message, "bytes": asked.SerializeToString()}
        return message

    return heard


async def _over(session: str) -> bool:
    now = runtime.clock()
    known, found = sessions.watch.known(session, now)
    if not known:
        try:
            found = await asyncio.to_thread(sessions.watch.find, runtime.database, now, session)
        except TrendCastError:
            return True
    return found is None


# --- pages ---


async def page(scope: guard.Scope, receive: guard.Receive, send: guard.Send) -> None:
    """Where to sign in: at /sign-in, and in place of every page while nobody is signed in; then it leads back there."""
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    direct = scope["path"] == "/sign-in"
    why = asked.get("why", [""])[0] if direct else ""
    wanted = asked.get("next", ["/"])[0] if direct else _path(scope)
    start = f"/sign-in/start?next={quote(_safe(wanted), safe='')}"
    body = _TEMPLATE.format(logo=_logo(), said=html.escape(SAID.get(why, SAID[""])), start=html.escape(start)).encode()
    await send(
        {
            "type": "http.response.start",
            "status": 200 if direct else 401,
            "headers": [
                (b"content-type", b"text/html; charset=utf-8"),
                (b"content-length", str(len(body)).encode()),
                (b"cache-control", b"no-store"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _start(scope: guard.Scope, receive: guard.Receive, send: guard.Send) -> None:
    """Remember the page that is wanted, and go to the provider by Streamlit's own address, which is good for two
    minutes."""
    settings = runtime.process.settings
    wanted = _safe(parse_qs(scope.get("query_string", b"").decode("latin-1")).get("next", ["/"])[0])
    signed = create_signed_value(get_cookie_secret(), AFTER_COOKIE, wanted).decode()
    await _redirect(
        send, generate_login_redirect_url("default"), [_set_cookie(AFTER_COOKIE, signed, AFTER_SECONDS, settings)]
    )


async def _redirect(send: guard.Send, where: str, more: list[tuple[bytes, bytes]] | None = None) -> None:
    headers = [(b"location", where.encode()), (b"content-length", b"0"), (b"cache-control", b"no-store"), *(more or [])]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _path(scope: guard.Scope) -> str:
    query = scope.get("query_string", b"").decode("latin-1")
    return quote(str(scope["path"]), safe="/-._~") + (f"?{query}" if query else "")


def _after(cookie: str | None) -> str:
    text = _signed(AFTER_COOKIE, cookie, AFTER_SECONDS)
    return _safe(text.decode()) if text else "/"


def _safe(path: str) -> str:
    """A page of ours to lead to; the root for anything else, as another site's address would be."""
    plain = path.isascii() and path.isprintable() and len(path) <= 2000 and not set(path) & set(' \\"<>')
    here = plain and path.startswith("/") and not path.startswith("//")
    return path if here and urlsplit(path).path not in guard.SIGN_IN_PATHS else "/"


@cache
def _logo() -> str:
    image = (Path(__file__).resolve().parent / "ui" / "images" / "logo.svg").read_bytes()
    return "data:image/svg+xml;base64," + base64.b64encode(image).decode()


_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>TrendCast: sign in</title>
<link rel="icon" href="/favicon.png">
<style>
:root {{ color-scheme: light dark; --text: #1F2937; --back: #FFFFFF; --action: #2563EB; }}
@media (prefers-color-scheme: dark) {{ :root {{ --text: #E5E7EB; --back: #0E1117; --action: #2563EB; }} }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; }}
main {{ max-width: 24rem; padding: 2rem; text-align: center; }}
img {{ height: 2.5rem; background: #FFFFFF; border-radius: .5rem; padding: .25rem .5rem; }}
a {{ display: inline-block; margin-top: .5rem; padding: .6rem 1.6rem; border-radius: .5rem; background: var(--action);
  color: #FFFFFF; text-decoration: none; }}
a:focus-visible {{ outline: 3px solid var(--text); outline-offset: 2px; }}
</style>
</head>
<body>
<main>
<img src="{logo}" alt="TrendCast">
<p>{said}</p>
<a href="{start}">Sign in</a>
</main>
</body>
</html>
"""
