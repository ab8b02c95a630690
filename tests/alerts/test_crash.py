"""A worker killed with SIGKILL at each point of a delivery: a message is never lost, at most doubled, and a double can
be told by its Message-ID.

Nothing in the product knows of these tests. A worker stops where it has to wait, for the mail server (which is ours) or
for a lock in the database (which we hold), and is killed there.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.office import Postbox, environment, pass_time
from tests.services import shops
from tests.waiting import until
from trendcast import settings
from trendcast.alerts.mail import Route
from trendcast.alerts.message import Message
from trendcast.services import outbox

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 240.0  # seconds on a busy machine
# What the worker's mail lane does, alone: a process that starts in a fraction of the whole worker's time.
MAIL_LANE = """
import time
from datetime import UTC, datetime
from trendcast import settings
from trendcast.services import outbox
from trendcast.store.engine import Database
chosen = settings.load()
database = Database(chosen.database_url, role="worker")
while True:
    outbox.deliver(database, chosen, lambda: datetime.now(UTC))
    time.sleep(0.1)
"""
ALONE, WHOLE = ["-c", MAIL_LANE], ["-m", "trendcast", "worker"]
HOW = [pytest.param(ALONE, id="mail"), pytest.param(WHOLE, id="worker", marks=pytest.mark.nightly)]


def wait_for(condition: Callable[[], Any]) -> Any:
    return until(condition, PATIENCE, every=0.02)


class Scene:
    """A database, a mail server and workers that can be killed."""

    def __init__(self, db: Any, box: Postbox, route: Route, home: Path) -> None:
        self.db, self.box = db, box
        self.running: list[subprocess.Popen[bytes]] = []
        self.locks = contextlib.ExitStack()
        self.locked = False
        self.environment = {
            **os.environ,
            "DATABASE_URL": db.url,
            "TRENDCAST_HOME": str(home),
            "TZ": "UTC",
            **environment(route, ALERT_RECIPIENTS="ann@shop.example"),
        }

    def put(self, count: int = 1) -> None:
        with self.db.transaction() as connection:
            for number in range(count):
                outbox.write(
                    self.db, connection, Message("CRITICAL: 1 anomaly", "412 sold.\n", "<p>412 sold</p>"),
                    key=f"17|first|{number}", channel="email", recipient="ann@shop.example",
                    sender="alerts@shop.example", impact="HIGH",
                )  # fmt: skip

    def start(self, how: list[str]) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = [sys.executable, *how]
        self.running.append(subprocess.Popen(command, cwd=ROOT, env=self.environment, **quiet))  # type: ignore[call-overload]

    def kill(self) -> None:
        """Of the newest worker nothing is left."""
        self.running[-1].send_signal(signal.SIGKILL)
        self.running[-1].wait()

    def lock(self, table: str, mode: str = "EXCLUSIVE") -> None:
        """Whoever writes to the table (ACCESS EXCLUSIVE: or reads it) waits from now on."""
        held = self.locks.enter_context(self.db.transaction())
        held.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        held.exec_driver_sql(f"LOCK TABLE {table} IN {mode} MODE")
        self.locked = True

    def someone_waits(self) -> bool:
        with self.db.read() as connection:
            waiting = (
                "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
                "WHERE NOT l.granted AND d.datname = current_database())"
            )
            return bool(connection.exec_driver_sql(waiting).scalar_one())

    def unlock(self) -> None:
        self.locks.close()

    def rows(self) -> list[Any]:
        return list(self.db.rows("outbox_list", incident_id=None, limit=500))

    def status(self) -> list[str]:
        return [row["status"] for row in self.rows()]

    def copies(self) -> list[str]:
        found = [email.message_from_bytes(one.content, policy=email.policy.default) for one in self.box.mails]
        return [str(one["Message-ID"]) for one in found]


@pytest.fixture
def scene(db: Any, post_office: Callable[..., Any], tmp_path: Path) -> Iterator[Scene]:
    box, route = post_office()
    made = Scene(db, box, route, tmp_path)
    yield made
    for process in made.running:
        process.kill()
        process.wait()
    made.unlock()


def finish(scene: Scene, how: list[str]) -> None:
    """The dead worker's lease runs out, and another one works."""
    scene.unlock()
    pass_time(scene.db, outbox.LEASE + 1)
    if how is ALONE:
        outbox.deliver(scene.db, settings.load(scene.environment), lambda: datetime.now(UTC))
        assert set(scene.status()) == {"SENT"}
    else:
        scene.start(how)
        wait_for(lambda: set(scene.status()) == {"SENT"})
        scene.kill()


@pytest.mark.parametrize("how", HOW)
def test_killed_before_it_claimed(scene: Scene, how: list[str]) -> None:
    scene.put()
    scene.lock("outbox")
    scene.start(how)
    wait_for(scene.someone_waits)
    scene.kill()
    assert scene.status() == ["PENDING"]
    finish(scene, how)
    assert len(scene.copies()) == 1


@pytest.mark.parametrize("how", HOW)
def test_killed_after_it_claimed_and_before_it_sent(scene: Scene, how: list[str]) -> None:
    scene.put()
    scene.box.when["mail"] = scene.kill
    scene.start(how)
    wait_for(lambda: scene.running[-1].poll() is not None)
    assert scene.status() == ["SENDING"]
    assert scene.copies() == []
    finish(scene, how)
    assert len(scene.copies()) == 1
    assert scene.rows()[0]["attempts"] == 2


@pytest.mark.parametrize("how", HOW)
def test_killed_after_the_server_took_it_and_before_that_was_written_down(scene: Scene, how: list[str]) -> None:
    scene.put()
    scene.box.when["kept"] = lambda: scene.lock("outbox")
    scene.start(how)
    wait_for(lambda: scene.locked and scene.someone_waits())  # it has the server's 250 and cannot note it
    scene.kill()
    assert scene.status() == ["SENDING"]
    assert len(scene.copies()) == 1
    finish(scene, how)
    assert len(scene.copies()) == 2  # nobody can know better, and so:
    assert len(set(scene.copies())) == 1


@pytest.mark.parametrize("how", HOW)
def test_killed_after_it_was_written_down(scene: Scene, how: list[str]) -> None:
    scene.put()
    scene.start(how)
    wait_for(lambda: scene.status() == ["SENT"])
    scene.kill()
    pass_time(scene.db, outbox.LEASE + 1)
    scene.put(2)  # the same and another one
    finish(scene, how)
    assert len(scene.copies()) == len(set(scene.copies())) == 2


@pytest.mark.nightly
def test_killed_between_the_detection_and_its_mails(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Incident and mail are one transaction: of a check that dies before its mails nothing is left, and the next one
    finds and tells it once."""
    monkeypatch.setattr(shops, "FIRST", datetime.now(UTC).date() - timedelta(days=151))
    shop = shops.Shop(scene.db)
    shop.load(150)
    shop.detect()
    before = len(shop.rows("incident"))
    north = [row for row, (_, region) in enumerate(shop.keys) if region == "North"]
    shop.units[north, 150] = (shop.units[north, 150] * 0.4).round()
    scene.lock("recipient", "ACCESS EXCLUSIVE")  # read when the incidents are written and the mails are not
    shop.load(151)
    scene.start(WHOLE)
    wait_for(scene.someone_waits)
    scene.kill()
    scene.unlock()
    assert len(shop.rows("incident")) == before
    assert scene.rows() == []
    with scene.db.transaction() as connection:
        for table in ("job_slot", "lease"):
            connection.exec_driver_sql(f"UPDATE {table} SET lease_until = now()")
    scene.start(WHOLE)
    wait_for(lambda: scene.status() == ["SENT"])
    scene.kill()
    assert len(scene.copies()) == 1
    assert len(shop.rows("incident")) > before
