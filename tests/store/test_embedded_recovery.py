"""The embedded server comes back: after kill -9, zombies, reused numbers, and long recoveries."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.store.embedded_tools import FAST, ask
from tests.waiting import until
from trendcast import errors
from trendcast.store import embedded
from trendcast.store.engine import Database

# What was committed must outlive a kill -9 of the server, though not a power cut.
DURABLE = {**FAST, "synchronous_commit": "on"}


@pytest.fixture(scope="module")
def server() -> Iterator[embedded.Server]:
    home = Path(tempfile.mkdtemp(prefix="tc-recover-"))
    home.chmod(0o755)
    server = embedded.start(home, settings=DURABLE, root_folder=home / "own")
    ask(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    yield server
    server.release()
    assert embedded.postmaster(server.data) is None
    shutil.rmtree(home)


def kill(server: embedded.Server) -> psutil.Process:
    process = embedded.postmaster(server.data)
    assert process is not None
    process.send_signal(signal.SIGKILL)
    until(lambda: embedded.postmaster(server.data) is None)
    return process


def test_after_kill_9_the_next_start_recovers(server: embedded.Server) -> None:
    killed = kill(server)
    assert (server.data / "postmaster.pid").read_text().startswith(f"{killed.pid}\n")
    assert embedded.start(server.folder, settings=DURABLE, root_folder=server.folder / "own") is server
    assert ask(server, "SELECT answer FROM kept") == 42


def test_a_database_in_use_heals_itself_after_kill_9(server: embedded.Server) -> None:
    database = Database(server.url, server=server)
    assert database.ping() < 5
    kill(server)
    until(lambda: heals(database))
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT answer FROM public.kept").scalar() == 42
    database.close()


def heals(database: Database) -> bool:
    try:
        return database.ping() > 0
    except errors.DatabaseAway:  # the backends of the killed server are still leaving
        return False


def test_a_zombie_is_not_alive(server: embedded.Server) -> None:
    server._stop()
    zombie = subprocess.Popen(["true"])  # nobody reaps it: a container without init
    until(lambda: psutil.Process(zombie.pid).status() == psutil.STATUS_ZOMBIE)
    leave_behind(server, zombie.pid)
    server.ensure_running()
    assert ask(server, "SELECT answer FROM kept") == 42
    zombie.wait()


def test_another_process_with_the_number_is_not_the_server(server: embedded.Server) -> None:
    server._stop()
    leave_behind(server, os.getpid())
    assert embedded.postmaster(server.data) is None
    server.ensure_running()
    assert ask(server, "SELECT answer FROM kept") == 42


def leave_behind(server: embedded.Server, pid: int) -> None:
    """The files of a server that was killed, naming ``pid``."""
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (server.data / name).write_text(f"{pid}\n{server.data}\n1700000000\n5432\n{server.data}\n\n        \n")
        os.chown(server.data / name, server.account.uid, server.account.gid)


def test_a_server_that_does_not_answer_in_time_is_one_sentence(
    server: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "DEADLINE", 1.0)
    process = embedded.postmaster(server.data)
    assert process is not None
    process.suspend()
    try:
        with pytest.raises(errors.DatabaseAway, match="recovering after a crash, try again"):
            server.ensure_running()
        with pytest.raises(errors.DatabaseAway):  # those who queued up behind get the answer at once
            server.ensure_running()
    finally:
        process.resume()
    monkeypatch.setattr(embedded, "RETRY_AFTER", 0.0)
    server.ensure_running()


def test_a_recovery_is_waited_for_and_told_once(
    server: embedded.Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    words = iter(["FATAL:  the database system is starting up", "FATAL:  the database system is not yet accepting"])
    true_answer = server._answers
    monkeypatch.setattr(embedded, "PATIENCE", 0.0)
    monkeypatch.setattr(server, "_answers", lambda: next(words, None) or true_answer())
    server.ensure_running()
    assert caplog.text.count("waiting for it (FATAL:  the database system is starting up)") == 1
    assert caplog.text.count("waiting for it") == 1


def test_a_server_that_cannot_start_says_why(server: embedded.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "DEADLINE", 1.0)
    server._stop()
    monkeypatch.setitem(server._settings, "max_connections", "'nonsense'")
    with pytest.raises(errors.DatabaseAway, match=r"does not come up .*configuration file|max_connections"):
        server.ensure_running()
    monkeypatch.undo()
    monkeypatch.setattr(embedded, "RETRY_AFTER", 0.0)
    server.ensure_running()
