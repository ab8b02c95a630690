"""The end of waiting for a database that says nothing.

A server that goes down closes its connections; a network or a proxy that swallows everything does not, and the driver
would wait for the answer for ever. The server ends a statement by itself after `statement_timeout`; where its answer is
not there soon after, nobody answers any more. The connection's socket is then shut down, and the caller hears of a
broken connection as of any other.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from psycopg2 import extensions
from sqlalchemy import Engine

GRACE = 1.0  # seconds after the server's own limit
PING = {"web": 2.0, "worker": 15.0}  # seconds an answer to "are you there" may take
_LOOK = 0.25


class _Waits:
    """Who waits on which connection until when; one thread for all of the process, which ends the overdue."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nobody waits and no thread looks after them."""
        self._lock = threading.Condition()
        self._until: dict[int, tuple[float, Any]] = {}
        self._next = 0
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def on(self, connection: Any, seconds: float) -> Iterator[None]:
        with self._lock:
            self._next += 1
            number = self._next
            self._until[number] = (time.monotonic() + seconds, connection)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="database-silence", daemon=True)
                self._thread.start()
            elif len(self._until) == 1:
                self._lock.notify()
        try:
            yield
        finally:
            with self._lock:
                self._until.pop(number, None)

    def _watch(self) -> None:
        while True:
            with self._lock:
                while not self._until:
                    self._lock.wait()
                now = time.monotonic()
                # Under the lock: whoever waits is still in the driver's call, so the descriptor is still its own.
                for number, (until, connection) in list(self._until.items()):
                    if now >= until:
                        del self._until[number]
                        _hang_up(connection)
            time.sleep(_LOOK)


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


def patient(connection: Any, seconds: float) -> None:
    """Until the end of its transaction this connection of the driver may take so long for a statement."""
    _patience[connection] = seconds


def limit(engine: Engine, role: str, statement_timeout: float) -> None:
    """Let no call of the driver on this engine's connections wait longer than the server would let it work, which is
    ``statement_timeout`` seconds, or what the transaction set for itself."""
    dialect: Any = engine.dialect

    def watched(name: str, before: Callable[..., float], after: Callable[[Any], object] = lambda _: None) -> None:
        call = getattr(dialect, name)

        def do(handle: Any, *arguments: Any, **named: Any) -> Any:
            connection = _driver(handle)
            with _waits.on(connection, before(connection, *arguments)):
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
