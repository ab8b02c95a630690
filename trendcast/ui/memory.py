"""What one process remembers of answers that change, for all its sessions: the current run, and what people change."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trendcast.errors import DatabaseAway, NoRun, NotFound

# Seconds a run counts as confirmed. With what the database's pulse may take, a red banner is there within five.
SECONDS = 1.0


@dataclass(frozen=True)
class Standing:
    """What there is to show: a run or none, and whether the database answered. ``error`` is the sentence why not."""

    run: Any = None
    away: bool = False
    error: str = ""
    read_at: dt.datetime | None = None  # when the run was last confirmed


class CurrentRun:
    """The current run as this process knows it. One question per second, however many sessions; while the database is
    away the last known run goes on being served, so that fifty sessions do not queue for a connection."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        """``ask``: the current run; raises NoRun, or DatabaseAway."""
        self._current = ask
        self._lock = threading.Lock()
        self._standing = Standing()
        self._until = 0.0
        self.runs: dict[int, Any] = {}

    def get(self, *, fresh: bool = False) -> Standing:
        with self._lock:
            if fresh or time.monotonic() >= self._until:
                self._standing = self._ask(self._standing)
                self._until = time.monotonic() + SECONDS
            return self._standing

    def _ask(self, before: Standing) -> Standing:
        now = dt.datetime.now(dt.UTC)
        try:
            run = self._current()
        except NoRun:
            return Standing(read_at=now)
        except DatabaseAway as error:
            return Standing(before.run, True, str(error), before.read_at)
        self.runs[run.id] = run
        return Standing(run, False, "", now)

    def note(self, run: Any) -> Any:
        """Remember a run that was read otherwise (an earlier one), by its id."""
        self.runs[run.id] = run
        return run

    def run(self, run_id: int) -> Any:
        """The run with this id, as it was read."""
        if run_id not in self.runs:
            raise NotFound(f"Run {run_id} is not known here.")
        return self.runs[run_id]


class Recent:
    """Answers that change: asked again after ten seconds or after a move of ours; while the database is away the last
    answer goes on being served. Bounded; shared between sessions, nobody may change what it returns."""

    SECONDS, MOST = 10.0, 200
    OVER = 0.001  # a moment that is past: it was held, and is to be asked again

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[Any, ...], tuple[float, Any]] = {}
        self._moves: dict[str, int] = {}

    def get(self, key: tuple[Any, ...], ask: Callable[[], Any]) -> Any:
        with self._lock:
            until, value = self._held.get(key, (0.0, None))
            moves = self._moves.get(key[0], 0)
        if time.monotonic() < until:
            return value
        try:
            value = ask()
        except DatabaseAway:
            if not until:
                raise
            return value
        with self._lock:
            self._held.pop(key, None)
            # What was asked before a move may be what was before it.
            late = self._moves.get(key[0], 0) != moves
            self._held[key] = (self.OVER if late else time.monotonic() + self.SECONDS, value)
            while len(self._held) > self.MOST:
                self._held.pop(next(iter(self._held)))
        return value

    def expire(self, *rooms: str) -> None:
        """Ask again at the next look; what is held still serves while the database is away."""
        with self._lock:
            for room in rooms:
                self._moves[room] = self._moves.get(room, 0) + 1
            for key, (_, value) in self._held.items():
                if key[0] in rooms:
                    self._held[key] = (self.OVER, value)
