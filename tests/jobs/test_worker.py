"""The worker: woken by a commit, back after the database was away, ended when asked."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.databases import listens
from tests.waiting import until
from trendcast.jobs.worker import Worker
from trendcast.services import jobs as job_service
from trendcast.settings import Settings
from trendcast.store import jobs
from trendcast.store.engine import Database
from trendcast.store.listen import DATA, JOB, RUN, Listener


@pytest.fixture
def working(db: Database, limits: Settings) -> Iterator[threading.Event]:
    stop = threading.Event()
    thread = threading.Thread(target=Worker(limits, lambda: datetime.now(UTC), db).run, args=(stop,))
    thread.start()
    yield stop
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


def wait_until_done(db: Database, slot: int, seconds: float = 60) -> dict[str, object]:
    until(lambda: jobs.slot(db, slot)["state"] == "done", seconds, what=f"Job {slot}")
    return jobs.slot(db, slot)


def test_a_listener_hears_a_commit_at_once_and_nothing_rolled_back(db: Database) -> None:
    with Listener(db) as listener:
        assert listener.wait(0) == []
        begun = time.monotonic()
        threading.Timer(0.1, lambda: job_service.enqueue(db, "count")).start()
        assert listener.wait(10) == [JOB]
        assert time.monotonic() - begun < 5
        with db.transaction() as connection:
            connection.exec_driver_sql(f"NOTIFY {RUN}")
            connection.get_transaction().rollback()  # type: ignore[union-attr]
        with db.transaction() as connection:
            connection.exec_driver_sql(f"NOTIFY {DATA}")
        assert listener.wait(5) == [DATA]


def test_a_worker_is_woken_works_and_survives_cut_connections(db: Database, working: threading.Event) -> None:
    until(lambda: listens(db))
    slot = job_service.enqueue(db, "count")
    until(lambda: jobs.slot(db, slot)["state"] != "queued", 25, what="To be woken instead of polling")
    first = wait_until_done(db, slot)
    assert first["progress"]["result"]["sum"] == 6  # type: ignore[index]
    with db.transaction() as connection:
        cut = connection.exec_driver_sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).scalar()
    assert cut
    wait_until_done(db, job_service.enqueue(db, "count"))


def test_a_worker_asked_to_stop_gives_its_job_back(db: Database, working: threading.Event, tmp_path: object) -> None:
    slot = job_service.enqueue(db, "dwell", {"marks": f"{tmp_path}/marks"})
    until(lambda: jobs.slot(db, slot)["state"] == "running")
    working.set()
    until(lambda: jobs.slot(db, slot)["state"] != "running")
    assert jobs.slot(db, slot)["state"] == "queued"
    assert "asked to stop" in jobs.slot(db, slot)["error"]


def test_light_work_does_not_wait_behind_heavy_work(
    db: Database, limits: Settings, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_service, "ALONE", ("dwell",))
    heavy = job_service.enqueue(db, "dwell", {"marks": f"{tmp_path}/marks"})
    light = job_service.enqueue(db, "count")
    stop = threading.Event()
    worker = threading.Thread(target=Worker(limits, lambda: datetime.now(UTC), db).run, args=(stop,))
    worker.start()
    try:
        wait_until_done(db, light)
        assert jobs.slot(db, heavy)["at_work"]
    finally:
        stop.set()
        worker.join(30)
    assert not worker.is_alive()


def test_a_load_wakes_the_worker(db: Database) -> None:
    with Listener(db) as listener:
        with db.transaction() as connection:
            connection.exec_driver_sql(
                "INSERT INTO load_batch (source, table_name, status) VALUES ('f', 'stores', 'held')"
            )
        assert listener.wait(0.2) == []
        with db.transaction() as connection:
            connection.exec_driver_sql("UPDATE load_batch SET status = 'merged'")
        assert listener.wait(5) == [DATA]
