"""The end of waiting for a database that says nothing.

A server that goes down closes its connections; a network or a proxy that swallows everything does not, and the driver
would wait for the answer for ever. The server ends a statement by itself after `statement_timeout`; where its answer is
not there soon after, nobody answers any more. The connection's socket is then shut down, and the caller hears of a
broken connection as of any other.

Who may work for long is waited for, and the question or its answer may have been lost all the same. So the server is
asked from another connection, and when it has twice nothing to do for this one, that is ended too.

Such waits must not add up. Where people wait, a connection that said nothing is replaced only when the database answers
a short knock; when it does not, everybody hears at once that it is away, until it answers one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import selectors
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psycopg2
from psycopg2 import extensions
from sqlalchemy import Engine

log = logging.getLogger(__name__)

GRACE = 1.0  # seconds after the server's own limit
PING = {"web": 2.0, "pulse": 1.0, "worker": 15.0}  # seconds an answer to "are you there" may take
KNOCK = 1.5  # seconds an answer to a new connection may take, once another one said nothing
_PAUSE, _PATIENCE = 0.5, 3.0  # between knocks while nobody answers, and for each of them
LONG, AGAIN = 30.0, 15.0  # seconds of a wait until the server is asked about it, and between two such questions


class _Wait(NamedTuple):
    since: float
    until: float
    connection: Any
    cut: Callable[[], None]  # is told when the wait was ended; may not wait itself


class _Waits:
    """Who waits on which connection until when; one thread for all of the process, which ends the overdue."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nobody waits and no thread looks after them."""
        self._lock = threading.Condition()
        self._waits: dict[int, _Wait] = {}
        self._next = 0
        self._look = float("inf")  # when the thread looks again
        self._thread: threading.Thread | None = None
        self._asker: threading.Thread | None = None

    @contextlib.contextmanager
    def on(self, connection: Any, seconds: float, cut: Callable[[], None] = lambda: None) -> Iterator[None]:
        now = time.monotonic()
        until = now + seconds
        with self._lock:
            self._next += 1
            number = self._next
            self._waits[number] = _Wait(now, until, connection, cut)
            if seconds > LONG and self._asker is None:
                self._asker = threading.Thread(target=self._ask, name="database-rest", daemon=True)
                self._asker.start()
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="database-silence", daemon=True)
                self._thread.start()
            elif until < self._look:
                self._lock.notify()
        try:
            yield
        finally:
            with self._lock:
                self._waits.pop(number, None)

    def _watch(self) -> None:
        with self._lock:
            while True:
                now = time.monotonic()
                for number in [number for number, wait in self._waits.items() if now >= wait.until]:
                    self._end(number)
                self._look = min((wait.until for wait in self._waits.values()), default=float("inf"))
                self._lock.wait(None if self._look == float("inf") else self._look - now)

    def _end(self, number: int) -> None:
        # Under the lock: whoever waits is still in the driver's call, so the descriptor is still its own.
        wait = self._waits.pop(number, None)
        if wait is not None:
            wait.cut()
            _hang_up(wait.connection)

    def _ask(self) -> None:
        """Ask about long waits as long as there are any that may become long."""
        at_rest: set[int] = set()
        while True:
            time.sleep(AGAIN)
            with self._lock:
                now = time.monotonic()
                long = {number: wait.connection for number, wait in self._waits.items() if now - wait.since > LONG}
                if not any(wait.until - wait.since > LONG for wait in self._waits.values()):
                    self._asker = None
                    return
            found = {number for number, connection in long.items() if _is_at_rest(connection)}
            with self._lock:
                for number in found & at_rest & self._waits.keys():
                    log.warning("What a connection waits for was lost on the way: it is ended.")
                    self._end(number)
            at_rest = found


_waits = _Waits()
# A forked child has the dictionary, but not the thread.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_waits.reset)


def _hang_up(connection: Any) -> None:
    # A connection that is closed by now has no descriptor and needs no end; nothing may stop the thread that looks.
    with contextlib.suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as ours:
        ours.shutdown(socket.SHUT_RDWR)


def _driver(handle: Any) -> Any:
    """The driver's connection behind a cursor or what the pool lends."""
    lent = getattr(handle, "driver_connection", None)
    return lent if lent is not None else handle.connection if isinstance(handle, extensions.cursor) else handle


# A transaction that takes more time for itself says so to the server, and is waited for as long.
_TAKES = re.compile(r"set_config\('statement_timeout', '(\d+)', true\)")
_patience: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()


# Whether the server has nothing to do for a connection, by the number of its session there.
_servers: weakref.WeakKeyDictionary[Any, Callable[[int], bool]] = weakref.WeakKeyDictionary()


def _is_at_rest(connection: Any) -> bool:
    asks = _servers.get(connection)
    with contextlib.suppress(Exception):  # closed by now, or the database is away
        return asks is not None and asks(connection.get_backend_pid())
    return False


def patient(connection: Any, seconds: float) -> None:
    """Until the end of its transaction this connection of the driver may take so long for a statement."""
    _patience[connection] = seconds


class Line:
    """Whether anybody answers at the other end, for all who would open a connection there.

    Trusted until a connection said nothing. The next one that is opened is then preceded by a knock; when nobody
    answers it, or an ordinary attempt ran out of time, the line is silent: all attempts fail at once, and a thread
    knocks until it is answered. A refusal is an answer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._doubted = False
        self._closed = threading.Event()
        self._listener: threading.Thread | None = None
        self._arguments: tuple[Any, Any] = (), {}

    @property
    def silent(self) -> bool:
        return self._listener is not None and self._listener.is_alive()

    def doubt(self) -> None:
        """A connection said nothing; that may be its own fault, if it lay unused for long."""
        self._doubted = True

    def open(self, connect: Callable[..., Any], *positional: Any, **named: Any) -> Any:
        """A new connection of the driver; what it raises too when the line is silent."""
        self._arguments = positional, named
        with self._lock:  # one knocks for all
            if self._doubted and not self.silent and not self._knock(KNOCK):
                self._listen()
            self._doubted = False
        if self.silent:
            raise psycopg2.OperationalError("nobody answers at the database's address")
        began = time.monotonic()
        try:
            return connect(*positional, **named)
        except psycopg2.OperationalError:
            if time.monotonic() - began > 0.9 * named["connect_timeout"]:
                with self._lock:
                    self._listen()
            raise

    def close(self) -> None:
        """Nobody will ask any more."""
        self._closed.set()

    def _listen(self) -> None:
        if not self.silent:
            self._listener = threading.Thread(target=self._until_answered, name="database-line", daemon=True)
            self._listener.start()

    def _until_answered(self) -> None:
        log.warning("The database has fallen silent; it is asked again until it answers.")
        while not self._closed.wait(_PAUSE):
            if self._knock(_PATIENCE):
                log.warning("The database answers again.")
                return

    def _knock(self, seconds: float) -> bool:
        """Whether somebody answers a new connection in time. Only silence counts: who waits for this process's own
        turn finds the answer there when it comes."""
        deadline = time.monotonic() + seconds
        positional, named = self._arguments
        try:
            with contextlib.closing(psycopg2.connect(*positional, **named, async_=True)) as made:
                while (state := made.poll()) != extensions.POLL_OK:
                    with selectors.DefaultSelector() as ready:
                        reads = state == extensions.POLL_READ
                        ready.register(made.fileno(), selectors.EVENT_READ if reads else selectors.EVENT_WRITE)
                        if not ready.select(max(0.0, deadline - time.monotonic())):
                            return False
        except psycopg2.Error:
            return True
        return True


def limit(
    engine: Engine, role: str, statement_timeout: float, at_rest: Callable[[int], bool], line: Line | None = None
) -> None:
    """Let no call of the driver on this engine's connections wait longer than the server would let it work, which is
    ``statement_timeout`` seconds, or what the transaction set for itself, nor when ``at_rest`` says that the server
    has nothing to do for that session. With a ``line``, let no new connection wait for what is known to be silent."""
    dialect: Any = engine.dialect
    connect, cut = dialect.connect, line.doubt if line is not None else lambda: None

    def connected(*positional: Any, **named: Any) -> Any:
        made = connect(*positional, **named) if line is None else line.open(connect, *positional, **named)
        _servers[made] = at_rest
        return made

    dialect.connect = connected

    def watched(name: str, before: Callable[..., float], after: Callable[[Any], object] = lambda _: None) -> None:
        call = getattr(dialect, name)

        def do(handle: Any, *arguments: Any, **named: Any) -> Any:
            connection = _driver(handle)
            with _waits.on(connection, before(connection, *arguments), cut):
                try:
                    return call(handle, *arguments, **named)
                finally:
                    after(connection)

        setattr(dialect, name, do)

    def working(connection: Any, *arguments: Any) -> float:
        if arguments and (taken := _TAKES.search(arguments[0])):
            patient(connection, int(taken[1]) / 1000)
        return _patience.get(connection, statement_timeout) + GRACE

    def forget(connection: Any) -> None:
        _patience.pop(connection, None)

    watched("do_ping", lambda _connection: PING[role])
    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        watched(name, working)
    for name in ("do_commit", "do_rollback"):
        watched(name, working, forget)


def watching(connection: Any, statement_timeout: float) -> contextlib.AbstractContextManager[None]:
    """The same around a call of the driver's own cursor (COPY)."""
    return _waits.on(connection, _patience.get(connection, statement_timeout) + GRACE)
