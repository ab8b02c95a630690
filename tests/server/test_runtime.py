"""One Database per process: opened once, away without piling up, back by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from trendcast import settings
from trendcast.errors import DatabaseAway
from trendcast.services import runtime
from trendcast.services.runtime import Runtime

SETTINGS = settings.load({})


class Opened:
    closed = False
    server = None  # no embedded one

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def started() -> Iterator[list[Runtime]]:
    made: list[Runtime] = []
    yield made
    for one in made:
        one.close()


def test_many_callers_share_one_database(started: list[Runtime]) -> None:
    opened: list[Opened] = []

    def open_slowly(_: Any) -> Any:
        time.sleep(0.05)
        opened.append(Opened())
        return opened[-1]

    process = Runtime(open_slowly)
    started.append(process)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: process.database(), range(64)))
    assert len(opened) == 1
    assert all(one is opened[0] for one in found)
    process.close()
    assert opened[0].closed
    assert process.database() is not opened[0], "after closing, the next caller opens again"


def test_a_server_that_starts_waits_for_no_database_and_says_it_is_starting(started: list[Runtime]) -> None:
    release = threading.Event()

    def open_when_released(_: Any) -> Any:
        release.wait(10)
        return Opened()

    process = Runtime(open_when_released)
    started.append(process)
    before = time.monotonic()
    process.begin(SETTINGS, patience=0.05)
    assert time.monotonic() - before < 0.05
    with pytest.raises(DatabaseAway, match="still starting"):
        process.database()
    release.set()
    process.patience = 5
    assert isinstance(process.database(), Opened)


def test_while_the_database_is_away_callers_get_the_answer_at_once_and_it_comes_back(
    monkeypatch: pytest.MonkeyPatch, started: list[Runtime]
) -> None:
    monkeypatch.setattr(runtime, "RETRY_SECONDS", 0.2)
    attempts: list[float] = []
    away = True

    def open_or_fail(_: Any) -> Any:
        attempts.append(time.monotonic())
        if away:
            raise DatabaseAway("The database does not answer.")
        return Opened()

    process = Runtime(open_or_fail)
    started.append(process)
    for _ in range(50):
        with pytest.raises(DatabaseAway, match="does not answer"):
            process.database()
    assert len(attempts) <= 2, "fifty sessions are not fifty attempts"
    away = False
    time.sleep(0.25)
    assert isinstance(process.database(), Opened)


def test_what_the_first_start_does_is_shown_and_ends(started: list[Runtime]) -> None:
    process = Runtime(lambda _: Opened())  # type: ignore[arg-type, return-value]
    started.append(process)
    assert not process.startup().busy
    process.report("loading the demo", 3, 10)
    assert process.startup() == runtime.Startup("loading the demo", 3, 10)
    assert process.startup().busy
    process.started(error="It failed.")
    assert (process.startup().busy, process.startup().error) == (False, "It failed.")
    process.started()
    assert process.startup() == runtime.Startup()
