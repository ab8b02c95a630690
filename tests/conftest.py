"""What tests stand on: a real PostgreSQL in a temporary folder, and a fresh database of our schema for each test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from trendcast.store import embedded, migrate
from trendcast.store.engine import Database

# A test's data need not survive a power cut.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
TEMPLATE = "tc_template"
_numbers = itertools.count(1)


def _administer(server: embedded.Server, command: str) -> None:
    connection = psycopg2.connect(host=str(server.data), user="postgres", dbname="postgres")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(command)
    finally:
        connection.close()


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
    _administer(server, f"CREATE DATABASE {TEMPLATE}")
    migrate.upgrade(server.database_url(TEMPLATE))
    return TEMPLATE


@pytest.fixture
def new_database(server: embedded.Server, request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """``new_database(template=None)`` makes a database and returns its URL; it is dropped after the test. Without a
    template it is quite empty."""
    made: list[str] = []

    def make(template: str | None = None) -> str:
        name = f"tc_test_{next(_numbers)}"
        _administer(server, f"CREATE DATABASE {name} TEMPLATE {template or 'template0'} STRATEGY FILE_COPY")
        made.append(name)
        return server.database_url(name)

    yield make
    for name in made:
        _administer(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def db(new_database: Callable[..., str], template: str) -> Iterator[Database]:
    """A Database on a fresh clone of our empty schema."""
    database = Database(new_database(template), role="worker")
    yield database
    database.close()
