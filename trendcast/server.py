"""What the ASGI app carries besides the pages: the REST routes, the guard in front of everything, and the background
work.

`streamlit_app.py` hands all of it to `st.App`. Nothing here waits for the database: the server starts, shows the state,
and goes on when the database is there.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import streamlit
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope
from streamlit import config
from streamlit.runtime.pages_manager import PagesManager

from trendcast import logs, settings
from trendcast.api import guard
from trendcast.api.app import api, key_owner
from trendcast.errors import DatabaseAway, NotConfigured, TrendCastError
from trendcast.services import runtime
from trendcast.settings import Settings

logger = logging.getLogger(__name__)

# Beside an entry file with a pages/ folder Streamlit lets the first request of a fresh server run pages/NAME.py
# directly, without the entry file, so without its frame and checks, until someone has called st.navigation. This closes
# it before the first request; a test asks a fresh server over the raw websocket. Beside trendcast.sign_in it is our
# only private import of Streamlit.
PagesManager.uses_pages_directory = False

# Seconds the background work gets to stop; a job's child process is ended at once, its slot is free for the next start.
STOPPING = 20.0
DATABASE_POLL = 1.0


class _ForPrograms(Route):
    """An address that a page has too: a browser that asks for a page gets the page, a program gets REST."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
            if b"text/html" in accepted.lower():
                return Match.NONE, {}
        return super().matches(scope)


def run(arguments: list[str]) -> int:
    """``streamlit ARGUMENTS`` in this process, until it is stopped; returns its exit code."""
    from streamlit.web import cli

    try:
        cli.main(arguments, prog_name="streamlit")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def routes() -> list[BaseRoute]:
    """One route per path of the REST service, reached as an ASGI app with any method: it answers a wrong method itself.
    Whatever else lies below its first path segments is its 404 as well; otherwise the page shell would answer 200.
    Where a page has the first segment for its name, it is the page for browsers."""
    pages = {f"/{file.stem}" for file in (Path(__file__).parents[1] / "pages").glob("*.py")}
    paths = list(dict.fromkeys(str(getattr(route, "path")) for route in api.routes))  # noqa: B009
    segments = dict.fromkeys(path.split("/")[1] for path in paths)
    strays = [
        path for segment in segments for path in (f"/{segment}", f"/{segment}/{{rest:path}}") if path not in paths
    ]
    return [(_ForPrograms if path in pages else Route)(path, api) for path in [*paths, *strays]]


def middleware() -> list[Middleware]:
    """The guard for HTTP and websocket, and the headers on every answer. Ends the process with one sentence when the
    settings would let strangers in."""
    try:
        chosen = settings.load()
        guard.check_settings(chosen, address=_bound_to())
        if chosen.auth == "oidc":
            _sign_in().check(chosen, _bound_to(), _sign_in().cookie_secret())
    except NotConfigured as error:
        sys.exit(str(error))
    with_oidc = chosen.auth == "oidc"
    ways = {"find_session": _sign_in().find_session, "sign_in": _sign_in().page} if with_oidc else {}
    return [
        Middleware(guard.SecurityHeaders, policy=content_policy()),
        Middleware(guard.Guard, settings=lambda: runtime.process.settings, find_key=key_owner, **ways),
        *([Middleware(_sign_in().SignIn)] if with_oidc else []),
        *([Middleware(_sign_in().Aging)] if chosen.auth == "proxy" else []),
    ]


def secrets() -> dict[str, Any]:
    """What ``st.login`` is told about the provider: from our settings, never from a secrets file."""
    chosen = settings.load()
    return _sign_in().secrets(chosen) if chosen.auth == "oidc" else {"auth": {}}


def _sign_in() -> ModuleType:
    # Only an installation of several people pays for it.
    from trendcast import sign_in

    return sign_in


def _bound_to() -> str:
    # Without an address Streamlit listens on all of them.
    return config.get_option("server.address") or "0.0.0.0"  # noqa: S104


def content_policy() -> str:
    """What the pages may load: our own files only. Streamlit styles elements in line, and its shell has inline scripts,
    which are allowed by their hash."""
    shell = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    inline = re.findall(r"<script>(.*?)</script>", shell, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inline]
    return "; ".join(
        [
            "default-src 'self'",
            "script-src 'self' " + " ".join(f"'sha256-{digest}'" for digest in hashes),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "frame-src 'none'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


@asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[dict[str, object]]:
    """Open the database and start the background work, both without waiting; stop all of it at the end."""
    chosen = settings.load()
    logs.begin(chosen, "server", (str(config.get_option("server.cookieSecret")),))
    stop = threading.Event()
    runtime.process.begin(chosen)
    background = threading.Thread(target=_background, args=(chosen, stop), name="background", daemon=True)
    background.start()
    watch = asyncio.create_task(guard.watch_binding(chosen))
    try:
        yield {}
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        stop.set()
        await asyncio.to_thread(background.join, STOPPING)
        await asyncio.to_thread(runtime.process.close)


def _background(chosen: Settings, stop: threading.Event) -> None:
    """First steps once the database answers, then the worker loop, until ``stop``."""
    try:
        _await_database(stop)
        if stop.is_set():
            return
        _first_steps(chosen)
        logs.adopt_foreign_loggers()
        if chosen.jobs == "on":
            from trendcast.jobs.worker import Worker

            Worker(chosen, runtime.clock).run(stop)
    except TrendCastError as error:
        logger.error("Background work stopped: %s", error)
    except Exception:
        logger.exception("Background work stopped unexpectedly")


def _await_database(stop: threading.Event) -> None:
    said = ""
    runtime.process.report("Starting the database")
    while not stop.is_set():
        try:
            runtime.database()
        except TrendCastError as error:
            if str(error) != said:
                said = str(error)
                logger.warning("%s", error)
            stop.wait(DATABASE_POLL)
        else:
            runtime.process.started()
            if said:
                logger.info("The database answers.")
            return


def _first_steps(chosen: Settings) -> None:
    from trendcast.services import first_start

    try:
        first_start.prepare(runtime.database(), chosen)
    except DatabaseAway as error:
        logger.warning("The first start is not finished: %s", error)
