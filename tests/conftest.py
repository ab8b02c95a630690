"""What tests stand on: a real PostgreSQL in a temporary folder, and a fresh database of our schema for each test."""

from __future__ import annotations

import asyncio
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.databases import administer, create, publish
from trendcast.services.progress import silent
from trendcast.store import embedded, migrate
from trendcast.store.engine import Database

# A shell's background job is born ignoring Ctrl-C, and so would be every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A test's data need not survive a power cut.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
TEMPLATE = "tc_template"
_numbers = itertools.count(1)
_MAKES_USER = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Under CI a browser test that cannot run is a failure, not a skip."""
    report = yield
    if report.skipped and os.environ.get("CI") and item.get_closest_marker("browser"):
        report.outcome = "failed"
        report.longrepr = "Browser tests must run under CI, and this one was skipped: is chromium installed?"
    return report


LONGEST = ("browser", "server")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first; with several processes (``--dist loadfile``) files are handed out in turn."""
    items.sort(key=lambda item: not any(part in LONGEST for part in item.path.parts))


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_MAKES_USER] = os.geteuid() == 0 and embedded.SYSTEM_USER not in {
        one.pw_name for one in pwd.getpwall()
    }


def pytest_unconfigure(config: pytest.Config) -> None:
    """As root the server needs a system user; one that was made for the tests goes with the last of them."""
    if config.stash.get(_MAKES_USER, False) and not hasattr(config, "workerinput"):
        subprocess.run(["userdel", embedded.SYSTEM_USER], check=False, capture_output=True)


@pytest.fixture(scope="session")
def server() -> Iterator[embedded.Server]:
    """One embedded server for the whole session, in a folder that goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="tc-tests-"))
    folder.chmod(0o755)  # as root the server runs as another user, who must be able to pass
    server = embedded.start(folder, settings=FAST)
    yield server
    server.release()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def server_url(server: embedded.Server) -> str:
    """The server's own database ``postgres``, empty: for tests of connecting, and for databases beside ours."""
    return server.database_url("postgres")


@pytest.fixture(scope="session")
def template(server: embedded.Server) -> str:
    """The name of a database of our schema, empty, that others are cloned from."""
    administer(server, f"CREATE DATABASE {TEMPLATE}")
    migrate.upgrade(server.database_url(TEMPLATE))
    return TEMPLATE


@pytest.fixture
def new_database(server: embedded.Server, request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """``new_database(template=None)`` makes a database and returns its URL; it is dropped after the test. Without a
    template it is quite empty."""
    made: list[str] = []

    def make(template: str | None = None) -> str:
        name = f"tc_test_{next(_numbers)}"
        administer(server, f"CREATE DATABASE {name} TEMPLATE {template or 'template0'} STRATEGY FILE_COPY")
        made.append(name)
        return server.database_url(name)

    yield make
    for name in made:
        administer(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def db(new_database: Callable[..., str], template: str) -> Iterator[Database]:
    """A Database on a fresh clone of our empty schema."""
    database = Database(new_database(template), role="worker")
    yield database
    database.close()


DEMO_LAST_DAY = date(2026, 9, 30)


@pytest.fixture(scope="session")
def demo_db(server: embedded.Server, template: str) -> Iterator[Database]:
    """A Database with a published run: 3 categories x 2 regions, three years to 30 September 2026. To read only: a
    test that writes clones it."""
    from trendcast.demo import generate

    database = create(server, "tc_demo", template)
    publish(database, generate(3, 2, 0, 3, DEMO_LAST_DAY))
    yield database
    database.close()


@pytest.fixture(scope="session")
def clone_demo(server: embedded.Server, demo_db: Database) -> Iterator[Callable[[str], Database]]:
    """``clone_demo("name")``: the published demo retailer in a database of one's own, to write into."""
    made: list[Database] = []

    def clone(name: str) -> Database:
        # A database in use cannot be cloned; whoever used it connects again by itself.
        administer(server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'tc_demo'")
        made.append(create(server, f"tc_{name}", "tc_demo"))
        return made[-1]

    yield clone
    for database in made:
        database.close()


@pytest.fixture(scope="session")
def checked_db(clone_demo: Callable[[str], Database]) -> Database:
    """The published demo retailer after a check for anomalies. To read only, or to check again."""
    from trendcast.services.detect import detect

    database = clone_demo("checked")
    detect(database, lambda: datetime.now(UTC), silent, None)
    return database


class Rest:
    """``rest.get("/health")``: one request to the REST service with its guard, answered in this process."""

    def request(self, method: str, path: str, *, client: str = "127.0.0.1", **how: Any) -> Any:
        import httpx

        from trendcast.api.app import app

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=app, client=(client, 50000), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as caller:
                return await caller.request(method, path, **how)

        return asyncio.run(ask())

    def get(self, path: str, **how: Any) -> Any:
        return self.request("GET", path, **how)

    def post(self, path: str, **how: Any) -> Any:
        return self.request("POST", path, **how)


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Rest]]:
    """``serving(url)``: the REST service of this process on that database."""
    from trendcast.api import app as service
    from trendcast.services import runtime

    def on(url: str) -> Rest:
        monkeypatch.setenv("DATABASE_URL", url)
        runtime.process.close()
        service.forget()
        return Rest()

    yield on
    runtime.process.close()


@pytest.fixture
def rest(serving: Callable[[str], Rest], demo_db: Database) -> Rest:
    """The REST service on the demo retailer."""
    return serving(demo_db.url)
