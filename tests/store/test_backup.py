"""A backup brought back is the same database, to the row; and a failed restore leaves what was there."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from trendcast.errors import Conflict, DatabaseAway, InvalidInput
from trendcast.services import forecast
from trendcast.store import backup, embedded, migrate
from trendcast.store.engine import Database


def content(db):
    """Per table the number of its rows and a sum over all their text."""
    with db.read() as connection:
        names = connection.exec_driver_sql(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'trendcast' ORDER BY 1"
        ).scalars()
        return {
            name: tuple(
                connection.exec_driver_sql(
                    f'SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM "{name}" t'
                ).one()
            )
            for name in names.all()
        }


@pytest.fixture(scope="module")
def saved(demo_db, tmp_path_factory):
    file = tmp_path_factory.mktemp("backup") / "trendcast.dump"
    assert backup.dump(demo_db, file) == file.stat().st_size
    return file


@pytest.fixture
def empty(new_database, template):
    database = Database(new_database(template), role="worker")
    yield database
    database.close()


def test_no_row_differs_after_a_restore_and_the_forecast_is_there(saved, demo_db, empty):
    backup.restore(empty, saved)
    assert content(empty) == content(demo_db)
    assert forecast.current_run(empty).id == forecast.current_run(demo_db).id
    # Numbers go on where they were: the next batch is a new one.
    with empty.transaction() as connection:
        made = connection.exec_driver_sql(
            "INSERT INTO load_batch (source, table_name, status) VALUES ('x', 'events', 'rejected') RETURNING id"
        ).scalar_one()
        assert made > connection.exec_driver_sql("SELECT max(id) FROM load_batch WHERE source <> 'x'").scalar_one()


def test_a_backup_of_an_older_schema_is_upgraded(new_database, template, empty, tmp_path):
    url = new_database()
    migrate.upgrade(url, to="0012")
    older = Database(url, role="worker")
    backup.dump(older, tmp_path / "older.dump")
    older.close()
    backup.restore(empty, tmp_path / "older.dump")
    assert migrate.current(empty) == migrate.head()


def test_a_new_database_needs_no_upgrade_before_a_restore_and_a_failed_one_leaves_it_new(
    saved, demo_db, new_database, tmp_path
):
    new = Database(new_database(), role="worker")
    cut = tmp_path / "cut.dump"
    cut.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])
    with pytest.raises(DatabaseAway):
        backup.restore(new, cut)
    assert migrate.current(new) is None
    backup.restore(new, saved)
    assert content(new) == content(demo_db)
    migrate.check(new)
    new.close()


def test_an_older_version_goes_back_over_a_newer_schema(saved, demo_db, empty):
    with empty.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.exec_driver_sql("CREATE TABLE of_the_future (id int)")
    backup.restore(empty, saved, replace=True)
    migrate.check(empty)
    assert content(empty) == content(demo_db)


def test_data_is_replaced_only_when_that_is_said(saved, demo_db, empty):
    with empty.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO load_batch (source, table_name, status) VALUES ('mine', 'events', 'rejected')"
        )
    with pytest.raises(Conflict, match="--replace"):
        backup.restore(empty, saved)
    backup.restore(empty, saved, replace=True)
    assert content(empty) == content(demo_db)


def test_a_failed_restore_leaves_what_was_there(saved, empty, tmp_path):
    before = content(empty)
    cut = tmp_path / "cut.dump"
    cut.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])
    with pytest.raises(DatabaseAway):
        backup.restore(empty, cut)
    assert content(empty) == before


def test_a_file_that_is_no_backup_and_a_folder_that_is_not_there_are_sentences(empty, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InvalidInput, match="not a backup"):
        backup.restore(empty, tmp_path / "notes.txt")
    with pytest.raises(InvalidInput, match="cannot be read"):
        backup.restore(empty, tmp_path / "nothing.dump")
    with pytest.raises((InvalidInput, DatabaseAway)):
        backup.dump(empty, tmp_path / "nowhere" / "x.dump")


def test_others_cannot_read_the_file_and_nothing_half_written_stays(saved):
    assert saved.stat().st_mode & 0o077 == 0
    assert [file.name for file in saved.parent.iterdir()] == [saved.name]


# The oldest server we support, and the one that comes with the embedded server's package beside the newest.
BUNDLED = Path(next(iter(find_spec(embedded.PACKAGE).submodule_search_locations)))  # type: ignore[arg-type,union-attr]
OLDER = [
    pytest.param((BUNDLED / "pginstall" / "bin", 16), id="16"),
    pytest.param((Path("/usr/lib/postgresql/15/bin"), 15), id="15", marks=pytest.mark.nightly),
]


@pytest.fixture
def older_server(request, server):
    """The URL of an empty database on an older PostgreSQL, reached by a socket."""
    programs, major = request.param
    if not (programs / "postgres").exists():
        pytest.skip(f"PostgreSQL {major} is not installed.")
    folder = Path(tempfile.mkdtemp(prefix="tc-old-"))
    who = {"user": embedded.SYSTEM_USER, "group": embedded.SYSTEM_USER} if os.geteuid() == 0 else {}
    if who:
        shutil.chown(folder, **who)

    def do(*words):
        subprocess.run(words, cwd=folder, check=True, capture_output=True, env={"LC_ALL": "C"}, **who)

    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    do(programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
    do(programs / "pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "-o", options, "start")
    try:
        yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        do(programs / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.mark.parametrize("older_server", OLDER, indirect=True)
def test_a_backup_moves_to_an_older_server_and_back(older_server, saved, demo_db, empty, tmp_path):
    migrate.upgrade(older_server)
    older = Database(older_server, role="worker")
    try:
        assert older.rows("status_database")[0]["version"].startswith(("15", "16"))
        backup.restore(older, saved)
        assert content(older) == content(demo_db)
        backup.dump(older, tmp_path / "from-older.dump")
    finally:
        older.close()
    backup.restore(empty, tmp_path / "from-older.dump")
    assert content(empty) == content(demo_db)


@pytest.mark.nightly
def test_a_backup_under_load_is_of_one_moment_and_the_product_boots_on_it(clone_demo, empty, serving, tmp_path):
    """Protocol 18: batches of 500 rows are committed all the while, each with its checksum; the backup holds whole
    batches only, the restored database the same rows, and the service answers from it."""
    busy = clone_demo("backup_load")
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            with busy.transaction() as connection:
                connection.exec_driver_sql(
                    "INSERT INTO audit (actor, action, object)"
                    " SELECT 'load', 'batch', %s::text FROM generate_series(1, 500)",
                    (number,),
                )
                connection.exec_driver_sql("UPDATE stores SET batch_id = batch_id")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        time.sleep(0.5)
        file = tmp_path / "busy.dump"
        begun = time.monotonic()
        backup.dump(busy, file)
        took = time.monotonic() - begun
    finally:
        stop.set()
        writer.join()
    begun = time.monotonic()
    backup.restore(empty, file)
    rest = serving(empty.url)
    answer = rest.get("/series")
    back = time.monotonic() - begun
    assert answer.status_code == 200
    assert answer.json()["success"]
    assert rest.get("/health").status_code == 200
    with empty.read() as connection:
        sizes = connection.exec_driver_sql(
            "SELECT count(*) FROM audit WHERE actor = 'load' GROUP BY object"
        ).scalars().all()  # fmt: skip
    assert sizes, "the load began before the backup"
    assert set(sizes) == {500}
    # The same file once more, into another place: the same rows to the last.
    once = content(empty)
    backup.restore(empty, file, replace=True)
    assert content(empty) == once
    print(f"backup under load {took:.1f} s, restore to answering {back:.1f} s, {file.stat().st_size / 1e6:.1f} MB")
    assert back < 30 * 60
