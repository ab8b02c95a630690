"""What one process holds once: its settings, its Database, and what it is doing while it starts.

The dashboard, the REST service and the worker of one process share the Database found here. It is opened by the first
caller, in a thread of its own, so that nobody waits longer than `patience` for a server that starts or is away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trendcast import settings as settings_table
from trendcast.errors import DatabaseAway, NoRight, TrendCastError
from trendcast.settings import Settings

if TYPE_CHECKING:
    from trendcast.store.engine import Database

# A failed attempt to open is remembered this long, so that many sessions do not pile up on the connection timeout.
RETRY_SECONDS = 3.0
# A page opened outside a server (a test, a notebook) may wait for the embedded server's first start.
PATIENCE_ALONE = 60.0
# Inside a server a page shows "starting" and comes again.
PATIENCE_SERVING = 2.0


Clock = Callable[[], datetime]


def clock() -> datetime:
    """Now, in UTC. Services take a clock as argument; the entry points pass this one."""
    return datetime.now(UTC)


@contextmanager
def owners_work(what: str) -> Iterator[None]:
    """Around what only the owner's database role may write, in words that begin a sentence: a process with less rights
    (sql/migrations/grants.sql) hears who may. Also a decorator."""
    try:
        yield
    except NoRight as error:
        raise NoRight(
            f"{what} takes the rights of the database's owner, which this process does not have: leave it to a worker "
            "or the command line, or give this process the owner's DATABASE_URL."
        ) from error


@dataclass(frozen=True)
class Startup:
    """What the first start is doing: ``stage`` in words ('' when there is nothing to do), work done of total."""

    stage: str = ""
    done: int = 0
    total: int = 0
    error: str = ""

    @property
    def busy(self) -> bool:
        return bool(self.stage) and not self.error


class Runtime:
    """The process's handle on its Database. Thread-safe."""

    def __init__(self, open_database: Callable[[Settings], Database] | None = None) -> None:
        self._open_database = open_database or _open
        self._lock = threading.Lock()
        self._future: Future[Database] | None = None
        self._failed_at = 0.0
        self._settings: Settings | None = None
        self._startup = Startup()
        self.patience = PATIENCE_ALONE

    @property
    def settings(self) -> Settings:
        with self._lock:
            if self._settings is None:
                self._settings = settings_table.load()
            return self._settings

    def begin(self, settings: Settings, patience: float = PATIENCE_SERVING) -> None:
        """Take these settings and open the Database in the background: a server's start never waits for it."""
        with self._lock:
            self._settings = settings
            self.patience = patience
        self._attempt()

    def database(self) -> Database:
        """The open Database. DatabaseAway while it starts, or when it cannot be reached; the next attempt follows by
        itself, at most every RETRY_SECONDS."""
        try:
            return self._attempt().result(self.patience)
        except NotYet:
            raise DatabaseAway("The database is still starting. Please try again in a few seconds.") from None

    def startup(self) -> Startup:
        return self._startup

    def report(self, stage: str, done: int = 0, total: int = 0, **facts: object) -> None:
        """Note what the first start is doing; has the signature of on_progress."""
        self._startup = Startup(stage, done, total)

    def started(self, error: str = "") -> None:
        self._startup = replace(self._startup, error=error) if error else Startup()

    def close(self) -> None:
        """Close the Database; the next call opens it again."""
        with self._lock:
            future, self._future, self._failed_at = self._future, None, 0.0
            self._settings, self._startup, self.patience = None, Startup(), PATIENCE_ALONE
        if future is not None:
            try:
                database = future.result(PATIENCE_ALONE)
            except (TrendCastError, NotYet):
                return
            database.close()
            # Not left to the interpreter's exit: a server told to end (SIGTERM) never gets there.
            if database.server is not None:
                database.server.release()

    def _attempt(self) -> Future[Database]:
        settings = self.settings
        with self._lock:
            failed = self._future is not None and self._future.done() and self._future.exception() is not None
            if self._future is None or (failed and time.monotonic() - self._failed_at >= RETRY_SECONDS):
                future: Future[Database] = Future()
                self._future = future
                threading.Thread(target=self._open, args=(future, settings), name="open-database", daemon=True).start()
            return self._future

    def _open(self, future: Future[Database], settings: Settings) -> None:
        try:
            database = self._open_database(settings)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the waiting callers must hear of it
            self._failed_at = time.monotonic()
            future.set_exception(error)
        else:
            future.set_result(database)


def open_database(connection_string: str | None = None) -> Database:
    """A Database of one's own, for a notebook or script; without a connection string the one that the settings name
    (DATABASE_URL, else the embedded server). The caller closes it."""
    from trendcast.store.engine import Database

    chosen = settings_table.load()
    if connection_string:
        chosen = Settings({**chosen.values, "database_url": connection_string})
    return Database.open(chosen, role="worker")


def _open(settings: Settings) -> Database:
    from trendcast.store.engine import Database

    return Database.open(settings, role="web")


process = Runtime()


def database() -> Database:
    """The Database of this process (see Runtime.database)."""
    return process.database()


def startup() -> Startup:
    """What the first start of this process is doing."""
    return process.startup()
