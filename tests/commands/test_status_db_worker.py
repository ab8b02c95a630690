"""The commands status, db upgrade and worker as a person runs them."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from tests.databases import loaded, today
from tests.waiting import until
from trendcast.__main__ import main
from trendcast.services import jobs as job_service
from trendcast.services.health import worker_alive
from trendcast.store import migrate
from trendcast.store.engine import Database

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Told:
    code: int
    out: str
    err: str


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """``run(url, "status", "--json")``: the command in this process, as the shell would see it."""
    handlers = list(logging.getLogger().handlers)

    def command(url: str, *words: str) -> Told:
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("TRENDCAST_HOME", str(tmp_path))
        code = main(list(words))
        logging.getLogger().handlers[:] = handlers
        return Told(code, *capsys.readouterr())

    return command


def test_an_older_schema_is_told_and_upgraded(new_database: Callable[..., str], run: Callable[..., Told]) -> None:
    url = new_database()
    migrate.upgrade(url, to="0002")
    told = json.loads(run(url, "status", "--json").out)
    assert told["schema"] == {"at": "0002", "head": migrate.head(), "current": False}
    worker = run(url, "worker", "--once", "--json")
    assert worker.code == 1
    assert "python -m trendcast db upgrade" in worker.err
    upgraded = json.loads(run(url, "db", "upgrade", "--json").out)
    assert upgraded["applied"][0] == "0003"
    told = run(url, "status")
    assert f"schema    {migrate.head()}\n" in told.out
    assert "nothing loaded yet" in told.out
    assert "healthy" in told.out


def test_a_worker_for_cron_does_what_is_due_and_ends(db: Database, run: Callable[..., Told]) -> None:
    job_service.enqueue(db, "refresh")
    # The refresh that was asked for, and a look for the customer's tables in that database.
    assert json.loads(run(db.url, "worker", "--once", "--json").out) == {"jobs": 2, "messages": 0}
    told = json.loads(run(db.url, "status", "--json").out)
    (job,) = [job for job in told["jobs"] if job["name"] == "refresh"]
    assert job["state"] == "dead"
    assert job["error"] == "There are no sales to forecast: load data first."


def test_status_says_why_it_is_not_well(db: Database, run: Callable[..., Told]) -> None:
    loaded(db, today(db) - timedelta(days=1), ago=timedelta(hours=1))
    told = run(db.url, "status")
    assert "health    degraded\n          Data is loaded, but no forecast" in told.out
    assert "No worker has been seen since sales were loaded" in told.out


def test_nobody_at_the_address_is_one_sentence(run: Callable[..., Told]) -> None:
    told = run("postgresql://someone:hidden@127.0.0.1:9/nothing", "status")
    assert (told.code, told.out) == (1, "")
    assert told.err.count("\n") == 1
    assert "database does not answer" in told.err
    assert "hidden" not in told.err


def test_a_worker_ends_when_told_to(db: Database, tmp_path: Path) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "trendcast", "worker"],
        env={**os.environ, "DATABASE_URL": db.url, "TRENDCAST_HOME": str(tmp_path)},
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: worker_alive(db), every=0.1, what="The start of the worker")
    worker.send_signal(signal.SIGTERM)
    output, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert "The worker has stopped." in output
    assert not worker_alive(db)  # the lease was given back
