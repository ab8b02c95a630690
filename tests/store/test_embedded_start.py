"""The embedded server starts where it may, as it should, once, and stops with its last user."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.store.embedded_tools import FAST, ask, client
from trendcast import errors, settings
from trendcast.store import embedded, migrate
from trendcast.store.engine import Database


@pytest.fixture(scope="module")
def started() -> Iterator[embedded.Server]:
    """A server of this module, started once."""
    home = Path(tempfile.mkdtemp(prefix="tc-start-"))
    home.chmod(0o755)
    server = embedded.start(home, settings=FAST, root_folder=home / "own")
    yield server
    server.release()
    assert embedded.postmaster(server.data) is None
    shutil.rmtree(home)


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty folder that anybody may pass."""
    folder = Path(tempfile.mkdtemp(prefix="tc-home-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_it_listens_on_a_private_socket_and_nowhere_else(started: embedded.Server) -> None:
    assert ask(started, "SHOW listen_addresses") == ""
    assert stat.S_IMODE(started.data.stat().st_mode) == 0o700
    assert stat.S_IMODE((started.data / ".s.PGSQL.5432").stat().st_mode) == 0o700
    process = embedded.postmaster(started.data)
    assert process is not None
    assert [connection for connection in process.net_connections("inet") if connection.status == "LISTEN"] == []
    assert process.uids().real != 0


def test_the_database_sorts_the_same_on_every_machine(started: embedded.Server) -> None:
    query = "SELECT datlocprovider::text || ' ' || datlocale || ' ' || pg_encoding_to_char(encoding) FROM pg_database"
    assert ask(started, f"{query} WHERE datname = '{embedded.DATABASE}'") == "b C.UTF-8 UTF8"
    assert ask(started, "SELECT string_agg(x, '' ORDER BY x) FROM unnest(ARRAY['b', 'a', 'B', 'ä']) AS x") == "Babä"


def test_parallel_queries_need_no_shared_memory_device(started: embedded.Server) -> None:
    assert ask(started, "SHOW dynamic_shared_memory_type") == "mmap"
    ask(started, "CREATE TABLE many AS SELECT generate_series(1, 300000) AS n")
    ask(started, "ALTER TABLE many SET (parallel_workers = 2)")
    ask(started, "ALTER DATABASE trendcast SET parallel_setup_cost = 0")
    assert ask(started, "SELECT sum(n::numeric * n) > 0 FROM many") is True


def test_our_settings_hold_and_reach_an_older_cluster(started: embedded.Server) -> None:
    assert ask(started, "SHOW fsync") == "off"
    assert ask(started, "SHOW TimeZone") == "UTC"
    (started.data / "trendcast.conf").write_text("work_mem = 1MB\n")
    started.ensure_running()
    assert "work_mem = 32MB\n" in (started.data / "trendcast.conf").read_text()


def test_the_last_process_stops_it_and_two_may_start_at_once(home: Path) -> None:
    both = [client(home, "sys.stdin.readline()") for _ in range(2)]
    assert [one.stdout.readline() for one in both] == ["ready\n", "ready\n"]  # type: ignore[union-attr]
    data = home / "database"
    process = embedded.postmaster(data)
    assert process is not None
    both[0].communicate("go\n", timeout=30)
    assert embedded.postmaster(data) == process
    condition = embedded.inspect(home)
    assert (condition.running, condition.orphan) == (True, False)
    both[1].communicate("go\n", timeout=30)
    assert [one.returncode for one in both] == [0, 0]
    assert embedded.postmaster(data) is None


def test_killed_users_leave_no_trace_and_their_server_is_adopted(home: Path) -> None:
    killed = client(home, "time.sleep(60)")
    assert killed.stdout is not None
    assert killed.stdout.readline() == "ready\n"
    killed.kill()
    killed.communicate()
    condition = embedded.inspect(home)
    assert (condition.running, condition.orphan) == (True, True)
    process = embedded.postmaster(home / "database")
    server = embedded.start(home, settings=FAST, root_folder=home / "own")
    assert embedded.postmaster(server.data) == process
    assert embedded.inspect(home).orphan is False
    server.release()
    assert embedded.postmaster(server.data) is None


def test_an_empty_one_gets_our_schema_and_an_older_one_waits_for_the_upgrade(
    started: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings.load({"TRENDCAST_HOME": str(started.folder)})
    monkeypatch.setattr(embedded, "ROOT_FOLDER", started.folder / "own")
    database = Database.open(chosen)
    assert database.embedded
    assert migrate.current(database) == migrate.head()
    with database.transaction() as connection:
        connection.exec_driver_sql("DROP SCHEMA trendcast CASCADE")
    migrate.upgrade(database, to="0002")
    with pytest.raises(errors.SchemaBehind, match="db upgrade"):
        Database.open(chosen)
    migrate.upgrade(database)
    Database.open(chosen).close()
    database.close()


def test_a_long_path_is_refused_a_strange_one_is_not(home: Path) -> None:
    with pytest.raises(errors.NotConfigured, match="too long"):
        embedded.start(home / ("x" * 80), root_folder=home / "own")
    for refused in (home / "a,b", home / 'a"b', home / "a$b"):
        with pytest.raises(errors.NotConfigured, match="comma, quote"):
            embedded.start(refused, root_folder=home / "own")
    strange = "it's a shop; (ä) & "
    strange += "x" * (embedded.LONGEST_PATH - len(os.fsencode(home / strange / "database")))
    at_the_limit = home / strange
    at_the_limit.mkdir()
    server = embedded.start(at_the_limit, settings=FAST, root_folder=home / "own")
    assert len(os.fsencode(server.data)) == embedded.LONGEST_PATH
    assert ask(server, "SELECT 1") == 1
    server.release()


def test_an_open_folder_is_refused_with_the_cure(home: Path) -> None:
    server = embedded.start(home, settings=FAST, root_folder=home / "own")
    server.release()
    server.data.chmod(0o755)
    with pytest.raises(errors.NotConfigured, match="chmod 700"):
        embedded.start(home, settings=FAST, root_folder=home / "own")
    server.data.chmod(0o700)
    (server.data / "PG_VERSION").write_text("16\n")
    with pytest.raises(errors.NotConfigured, match="made by PostgreSQL 16"):
        embedded.start(home, settings=FAST, root_folder=home / "own")


def test_a_start_killed_half_way_leaves_nothing_in_the_way(home: Path) -> None:
    for half in ("database", "database.new"):
        (home / half).mkdir(mode=0o700)
        (home / half / "postgresql.conf").write_text("half\n")
        if os.geteuid() == 0:
            account = embedded._account()
            os.chown(home / half, account.uid, account.gid)
    server = embedded.start(home, settings=FAST, root_folder=home / "own")
    assert ask(server, "SELECT 1") == 1
    # Deleted under a running server (rm -rf): the old one is stopped before a new cluster takes its place.
    process = embedded.postmaster(server.data)
    shutil.rmtree(server.data)
    server.ensure_running()
    assert process is not None
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert ask(server, "SELECT 1") == 1
    server.release()


MOUNTS = [("/", "ext4"), ("/home", "nfs4"), ("/home/local", "xfs"), ("/mnt/share", "cifs"), ("/homestead", "btrfs")]


@pytest.mark.parametrize(("path", "kind"), [
    ("/var/lib", "ext4"), ("/home/ann/x", "nfs4"), ("/home/local/x", "xfs"), ("/mnt/share", "cifs"),
    ("/homestead/x", "btrfs"),
])  # fmt: skip
def test_the_file_system_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    assert embedded.file_system(Path(path), MOUNTS) == kind


def test_a_network_folder_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "file_system", lambda path: "nfs4")
    with pytest.raises(errors.NotConfigured, match="network file system"):
        embedded.start(home, root_folder=home / "own")
    assert not (home / "database").exists()


def test_little_space_is_said(
    started: embedded.Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(embedded, "LITTLE_SPACE", 2**62)
    with caplog.at_level(logging.WARNING):
        started.ensure_running()
    assert "MB are free" in caplog.text
    assert embedded.inspect(started.folder).free_bytes > 0


def test_a_folder_that_cannot_be_written_is_one_sentence() -> None:
    with pytest.raises(errors.NotConfigured, match="TRENDCAST_HOME"):
        embedded.start(Path("/proc/nowhere"))
