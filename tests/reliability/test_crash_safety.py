"""Whatever is killed at whatever moment: nothing is lost or doubled, nothing half done is seen, and it can go on."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import make_url

from benchmarks import _intact
from tests.reliability import mortal, shop
from trendcast.services import forecast, recipients
from trendcast.services.load import load_directory
from trendcast.store import backup, embedded, jobs
from trendcast.store.engine import Database

FRACTIONS = st.floats(0, 1.1, allow_nan=False)
# Seconds of the whole work, where a fraction of it is the moment of the kill.
LOAD, REFRESH = 0.25, 1.5


def name_of(url: str) -> str:
    """The database's name."""
    return str(make_url(url).database)


@dataclasses.dataclass
class Model:
    """What must be in the database."""

    rows: dict[shop.Key, float] = dataclasses.field(default_factory=dict)
    batches: int = 0
    replaced: int = 0  # rows of history
    told: set[str] = dataclasses.field(default_factory=set)

    def copy(self) -> Model:
        return dataclasses.replace(self, rows=dict(self.rows), told=set(self.told))


class Shop:
    """One database and its model; every step checks one against the other."""

    def __init__(self, db: Database, folder: Path) -> None:
        self.db, self.folder = db, folder
        self.model = Model()
        self.days = 0
        self.files: list[tuple[Path, dict[shop.Key, float]]] = []
        self.saved: tuple[Path, Model, int] | None = None
        self.kills = self.interrupted = self.numbers = 0
        self.load({key: units for number in range(shop.DAYS) for key, units in shop.day_of(number).items()})
        self.days = shop.DAYS
        shop.refreshed(self.db)

    def next_day(self) -> dict[shop.Key, float]:
        rows = shop.day_of(self.days)
        self.days += 1
        return rows

    def correction(self) -> dict[shop.Key, float]:
        keys = sorted(self.model.rows)[-8::3]
        return {key: self.model.rows[key] + 1 for key in keys}

    def load(self, rows: dict[shop.Key, float], killed_at: float | None = None) -> None:
        """Load a new file, killed on its way first if so wanted."""
        self.numbers += 1
        folder = shop.write(self.folder / f"{self.numbers}", rows)
        before, after = self.model.copy(), self.model.copy()
        after.replaced += sum(key in before.rows and before.rows[key] != sold for key, sold in rows.items())
        after.rows.update(rows)
        after.batches += 1
        if killed_at is not None:
            self.kills += 1
            finished = mortal.perform(mortal.load, self.db.url, str(folder), killed_after=killed_at * LOAD)
            self.interrupted += not finished
            # Either nothing of it is there or all of it.
            self.model = after if finished or self.stored_batches() == after.batches else before
            self.check()
        load_directory(self.db, folder, accept=True)
        self.model = after
        self.files.append((folder, rows))
        self.check()

    def load_again(self) -> None:
        """A file that came before, as it came: no work, also when its values were corrected since."""
        folder, _ = self.files[self.numbers % len(self.files)]
        load_directory(self.db, folder, accept=True)
        self.check()

    def refresh(self, killed_at: float | None = None) -> None:
        claim = shop.claimed(self.db)
        if killed_at is not None:
            self.kills += 1
            shown = forecast.current_run(self.db).id
            finished = mortal.perform(mortal.refresh, self.db.url, claim.token, killed_after=killed_at * REFRESH)
            self.interrupted += not finished
            run, _ = shop.page(self.db)
            assert finished or run >= shown
            shop.nothing_half_done_is_visible(self.db, at_work=[claim.token])
            [(left,)] = shop.ask(
                self.db, "SELECT extract(epoch FROM lease_until - now()) FROM job_slot WHERE id = :id", id=claim.id
            )
            assert left <= 90, "another worker may take it over within two minutes"
            shop.lease_is_over(self.db)
            taken = jobs.claim(self.db, slot_id=claim.id)
            assert taken is not None
            claim = taken
        run = shop.refreshed(self.db, claim)
        assert shop.page(self.db)[0] == run
        [(newest,)] = shop.ask(self.db, "SELECT data_batch_hi FROM run WHERE id = :run", run=run)
        assert newest == shop.ask(self.db, "SELECT max(id) FROM load_batch WHERE status = 'merged'")[0][0]
        self.check()

    def tell(self) -> None:
        """A person changes something."""
        self.numbers += 1
        address = f"person{self.numbers}@shop.example"
        recipients.add(self.db, lambda: dt.datetime.now(dt.UTC), address=address, who="ann")
        self.model.told.add(address)
        self.check()

    def back_up(self) -> None:
        self.numbers += 1
        file = self.folder / f"{self.numbers}.dump"
        backup.dump(self.db, file)
        self.saved = (file, self.model.copy(), self.days)

    def bring_back(self) -> None:
        assert self.saved is not None
        file, model, self.days = self.saved
        backup.restore(self.db, file, replace=True)
        self.model = model.copy()
        self.files = self.files[: model.batches]  # those that came later are new again
        self.check()

    def stored_batches(self) -> int:
        return int(shop.ask(self.db, "SELECT count(*) FROM load_batch")[0][0])

    def check(self) -> None:
        """The database is the model."""
        stored = shop.ask(self.db, "SELECT date_id, product_category, region, sales_units FROM sales_daily")
        assert {(day, category, region): sold for day, category, region, sold in stored} == self.model.rows
        assert self.stored_batches() == self.model.batches
        assert shop.ask(self.db, "SELECT count(*) FROM fact_history")[0][0] == self.model.replaced
        assert {row["address"] for row in recipients.listed(self.db)} == self.model.told
        shop.nothing_half_done_is_visible(self.db)


def test_three_kills_lose_nothing_double_nothing_and_show_nothing_half_done(
    db: Database, tmp_path: Path, server: embedded.Server
) -> None:
    one = Shop(db, tmp_path)
    one.tell()
    one.load(one.next_day(), killed_at=0.2)
    one.back_up()
    one.refresh(killed_at=0.5)
    one.load(one.correction(), killed_at=0.5)
    one.load_again()
    one.bring_back()
    one.load(one.correction())
    assert one.kills == 3
    assert _intact.trouble_running(server, name_of(db.url)) == []


@pytest.mark.nightly(minutes=30)
def test_fifty_kills_in_whatever_order(
    new_database: Callable[..., str], template: str, tmp_path: Path, server: embedded.Server
) -> None:
    kills = interrupted = 0

    class Machine(RuleBasedStateMachine):
        @initialize()
        def open(self) -> None:
            url = new_database(template)
            folder = tmp_path / name_of(url)
            folder.mkdir()
            self.db = Database(url, role="worker")
            self.shop = Shop(self.db, folder)

        @rule()
        def load(self) -> None:
            self.shop.load(self.shop.next_day())

        @rule(at=FRACTIONS)
        def load_killed(self, at: float) -> None:
            self.shop.load(self.shop.next_day(), killed_at=at)

        @rule(at=FRACTIONS)
        def correct_killed(self, at: float) -> None:
            self.shop.load(self.shop.correction(), killed_at=at)

        @rule()
        def load_again(self) -> None:
            self.shop.load_again()

        @rule()
        def refresh(self) -> None:
            self.shop.refresh()

        @rule(at=FRACTIONS)
        def refresh_killed(self, at: float) -> None:
            self.shop.refresh(killed_at=at)

        @rule()
        def tell(self) -> None:
            self.shop.tell()

        @rule()
        def back_up(self) -> None:
            self.shop.back_up()

        @precondition(lambda self: self.shop.saved is not None)
        @rule()
        def bring_back(self) -> None:
            self.shop.bring_back()

        def teardown(self) -> None:
            nonlocal kills, interrupted
            if hasattr(self, "shop"):
                kills += self.shop.kills
                interrupted += self.shop.interrupted
                assert _intact.trouble_running(server, name_of(self.db.url)) == []
            if hasattr(self, "db"):
                self.db.close()

    deadline = time.monotonic() + 1500
    while kills < 50 and time.monotonic() < deadline:
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=5,
                stateful_step_count=15,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    print(f"{kills} kills, {interrupted} of them before the end of the work")
    assert kills >= 50
    assert interrupted >= 20


@pytest.mark.nightly
def test_what_a_killed_worker_left_is_done_within_two_minutes(db: Database, tmp_path: Path) -> None:
    """A real worker, its child and the real 90 seconds of its lease."""
    from trendcast.services import jobs as job_service

    rows = {key: units for number in range(shop.DAYS) for key, units in shop.day_of(number).items()}
    load_directory(db, shop.write(tmp_path / "first", rows))
    slot = job_service.enqueue(db, "refresh")
    environment = {**os.environ, "DATABASE_URL": db.url, "TRENDCAST_HOME": str(tmp_path), "TRENDCAST_SYNC_SALES_TABLE":
                   "public.none"}  # fmt: skip

    def worker() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "trendcast", "worker"], env=environment, stdout=subprocess.DEVNULL
        )

    def wait_for(state: str, attempt: int, most: float) -> float:
        started = time.monotonic()
        while True:
            found = job_service.slot(db, slot)
            if found["state"] == state and found["attempts"] >= attempt:
                return time.monotonic() - started
            assert time.monotonic() < started + most, (found["state"], found["attempts"])
            time.sleep(0.2)

    first = worker()
    try:
        wait_for("running", 1, 60)
    finally:
        first.kill()
        first.wait()
    second = worker()
    try:
        waited = wait_for("running", 2, 120)
        print(f"taken over after {waited:.0f} s")
        wait_for("done", 2, 120)
    finally:
        second.send_signal(signal.SIGTERM)
        second.wait(60)
    shop.nothing_half_done_is_visible(db)
