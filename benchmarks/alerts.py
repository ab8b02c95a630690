"""From the commit of data to the mail server's acceptance, with a real worker process and a real mail server.

    python benchmarks/alerts.py                              # 500 categories x 4 regions x 3 years, 50 batches each
    python benchmarks/alerts.py --categories 50 --batches 10

Makes an embedded database and a mail server with its own certificate authority in a temporary folder, starts
`python -m trendcast worker`, and then lets yesterday's sales of one series after the other be corrected to a fifth: by
`load`, and by somebody else's job in a table of its own. Each is an urgent incident of its own and one mail. Then the
mail server is down for twenty minutes (of the clock the outbox goes by), and workers are killed between the detection
and its mails, and between the server's acceptance and the note of it.
"""

from __future__ import annotations

import argparse
import contextlib
import email
import email.policy
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
import pyarrow as pa
from aiosmtpd.controller import Controller
from sqlalchemy import create_engine, text

from benchmarks import detection
from tests.alerts.office import PASSWORD, USER, Certificates, Postbox, pass_time
from tests.waiting import free_port
from trendcast import settings
from trendcast.services import outbox
from trendcast.services.detect import detect
from trendcast.services.load import load_frames
from trendcast.services.progress import silent
from trendcast.services.sync import sync
from trendcast.store import embedded, migrate
from trendcast.store.engine import Database

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 180.0  # seconds for one mail
DOWN = 20 * 60.0
SOURCE = """
    CREATE TABLE public.sales_daily (date_id date NOT NULL, product_category text NOT NULL, region text NOT NULL,
    sales_units float8, sales_revenue float8, PRIMARY KEY (date_id, product_category, region))"""


def clock() -> datetime:
    return datetime.now(UTC)


class Office(Postbox):
    """A mail server that notes when it accepted what; it can be closed and opened again on the same port."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.port = free_port()
        self.authority = Certificates(folder, "Benchmark Authority")
        self.times: list[float] = []
        self._controller: Controller | None = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        answer = await super().handle_DATA(server, session, envelope)
        self.times.append(time.time())
        return answer

    def open(self) -> None:
        self._controller = Controller(
            self, hostname="127.0.0.1", port=self.port, tls_context=self.authority.server("localhost"),
            require_starttls=True, authenticator=self.authenticate, auth_required=True, auth_require_tls=True,
        )  # fmt: skip
        self._controller.start()

    def close(self) -> None:
        assert self._controller is not None
        self._controller.stop()

    def letters(self) -> list[Any]:
        return [email.message_from_bytes(one.content, policy=email.policy.default) for one in self.mails]

    def about(self, name: str) -> list[int]:
        """The places of the mails about a series."""
        return [place for place, one in enumerate(self.letters()) if f" {name}, " in str(one["Subject"])]


class Scene:
    """The retailer, the worker and the mail server."""

    def __init__(self, args: argparse.Namespace, home: Path, server: embedded.Server) -> None:
        self.home, self.office = home, Office(home)
        days = 365 * args.years
        detection.FIRST = date.today() - timedelta(days=days)  # the last day is yesterday
        self.day, self.days = detection.FIRST + timedelta(days=days - 1), days
        self.keys = [
            (f"Category {category:03d}", f"Region {region}", "")
            for category in range(args.categories)
            for region in range(args.regions)
        ]
        rng = np.random.default_rng(1)
        week = detection.WEEK[np.arange(days) % 7]
        self.expected = 200 * np.exp(rng.normal(0, 0.5, (len(self.keys), 1))) * week
        self.units = np.round(self.expected * np.exp(rng.normal(0, 0.08, self.expected.shape)))
        self.untouched = list(np.argsort(self.expected[:, 0]))  # the largest are taken first
        self.db = Database(server.database_url("trendcast"), role="worker", server=server)
        self.source = server.database_url("postgres")
        os.environ.update(
            DATABASE_URL=self.db.url, TRENDCAST_HOME=str(home / "home"), TZ="UTC", SMTP_SERVER="localhost",
            SMTP_PORT=str(self.office.port), SMTP_CA_FILE=str(self.office.authority.file), EMAIL_USER=USER,
            EMAIL_PASSWORD=PASSWORD, ALERT_FROM_EMAIL="TrendCast <alerts@shop.example>",
            ALERT_RECIPIENTS="ann@shop.example", ALERT_BUDGET="100000", SOURCE_DATABASE_URL=self.source,
        )  # fmt: skip
        self.worker: subprocess.Popen[bytes] | None = None

    def fill(self) -> None:
        """The past, a forecast of its last two weeks, the first look, and somebody else's table of the same sales."""
        migrate.upgrade(self.db)
        detection.fill(self.db, self.units, self.keys, 0, self.days)
        detection.forecast(self.db, self.expected[:, -14:], self.keys, "category_region", self.days - 14)
        with self.db.transaction() as connection:
            connection.execute(text("INSERT INTO current_run (run_id) SELECT max(id) FROM run"))
            for table in ("sales_daily", "forecast", "series"):
                connection.execute(text(f"ANALYZE {table}"))
        detect(self.db, clock, silent, None)
        engine = create_engine(self.source)
        with engine.begin() as connection:
            connection.exec_driver_sql(SOURCE)
            table = pa.table(
                {
                    "date_id": pa.array(np.tile(detection.days(0, self.days), len(self.keys))),
                    "product_category": pa.array(np.repeat([key[0] for key in self.keys], self.days)),
                    "region": pa.array(np.repeat([key[1] for key in self.keys], self.days)),
                    "sales_units": pa.array(self.units.ravel()),
                    "sales_revenue": pa.array(20 * self.units.ravel()),
                }
            )
            path = self.home / "source.csv"
            import pyarrow.csv

            pyarrow.csv.write_csv(table, path)
            with open(path, "rb") as file, connection.connection.cursor() as cursor:
                cursor.copy_expert("COPY public.sales_daily FROM STDIN (FORMAT csv, HEADER)", file)
            path.unlink()
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE public.sales_daily")
        engine.dispose()
        sync(self.db, settings.load(), clock=clock)

    def start(self) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.worker = subprocess.Popen([sys.executable, "-m", "trendcast", "worker"], cwd=ROOT, **quiet)  # type: ignore[call-overload]

    def kill(self) -> None:
        if self.worker is not None:
            self.worker.send_signal(signal.SIGKILL)
            self.worker.wait()
            self.worker = None

    def spoil(self) -> tuple[int, str]:
        """The next series, a fifth of whose yesterday is left; its row and its name in mails."""
        row = int(self.untouched.pop())
        self.units[row, -1] = max(1.0, np.round(0.2 * self.units[row, -1]))
        return row, f"{self.keys[row][0]} in {self.keys[row][1]}"

    def load(self) -> tuple[float, str]:
        """Yesterday's file once more, with one figure corrected; the moment its batch was committed."""
        _, name = self.spoil()
        frame = pd.DataFrame(
            {
                "date_id": [self.day] * len(self.keys),
                "product_category": [key[0] for key in self.keys],
                "region": [key[1] for key in self.keys],
                "sales_units": self.units[:, -1],
                "sales_revenue": 20 * self.units[:, -1],
            }
        )
        load_frames(self.db, {"sales_daily": frame}, source="benchmark", accept=True, clock=clock)
        with self.db.read() as connection:
            newest = "SELECT committed_at FROM load_batch WHERE status = 'merged' ORDER BY id DESC LIMIT 1"
            return connection.execute(text(newest)).scalar_one().timestamp(), name

    def write(self) -> tuple[float, str]:
        """Somebody else's job corrects one figure in its own table; the moment it committed."""
        row, name = self.spoil()
        engine = create_engine(self.source)
        with engine.begin() as connection:
            connection.execute(
                text(
                    "UPDATE public.sales_daily SET sales_units = :units, sales_revenue = 20 * :units "
                    "WHERE date_id = :day AND product_category = :category AND region = :region"
                ),
                {"units": float(self.units[row, -1]), "day": self.day, "category": self.keys[row][0],
                 "region": self.keys[row][1]},
            )  # fmt: skip
        engine.dispose()
        return time.time(), name

    def await_mail(self, name: str) -> float:
        """The moment the server accepted the mail about it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            places = self.office.about(name)
            if places:
                time.sleep(0.1)
                return self.office.times[places[0]]
            time.sleep(0.05)
        raise SystemExit(f"No mail about {name} came within {PATIENCE:.0f} s.")

    def lapse(self) -> None:
        """What a killed process held is free: its leases ran out."""
        with self.db.transaction() as connection:
            for table in ("job_slot", "lease"):
                connection.execute(text(f"UPDATE {table} SET lease_until = now() WHERE lease_until > now()"))
        pass_time(self.db, outbox.LEASE + 1)

    def outbox(self) -> list[Any]:
        return list(self.db.rows("outbox_list", incident_id=None, limit=1000))

    def waiting(self) -> bool:
        with self.db.read() as connection:
            return bool(connection.execute(text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")).scalar_one())


def measured(scene: Scene, change: Callable[[], tuple[float, str]], batches: int) -> list[float]:
    """Seconds from each change's commit to the mail server's acceptance of the mail about it."""
    rng, seconds = np.random.default_rng(2), []
    for number in range(batches):
        committed, name = change()
        seconds.append(scene.await_mail(name) - committed)
        print(f"  {number + 1}: {seconds[-1]:.1f} s", file=sys.stderr, flush=True)
        time.sleep(rng.uniform(0, 6))  # so that the next comes at any moment of the worker's rounds
    return seconds


def parts(scene: Scene) -> str:
    """Where the time went, medians over the mails so far. A message's ``created`` is when the transaction of its check
    began."""
    query = """
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM created - data_available_at)),
               percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM sent_at - created))
        FROM outbox WHERE status = 'SENT' AND data_available_at IS NOT NULL"""
    with scene.db.read() as connection:
        begun, sent = connection.execute(text(query)).one()
    return f"of it from the batch to the begin of its check {begun:.1f} s, check and mail {sent:.1f} s"


def down_for_twenty_minutes(scene: Scene) -> float:
    """Seconds of the outbox's clock from a mail's writing to its acceptance; the mail lane looks every five seconds."""
    scene.kill()
    scene.office.close()
    chosen = settings.load()
    _, name = scene.load()
    detect(scene.db, clock, silent, None)
    waited = 0.0
    while waited < DOWN:
        outbox.deliver(scene.db, chosen, clock)
        pass_time(scene.db, 5)
        waited += 5
    scene.office.open()
    while not scene.office.about(name) and waited < 2 * DOWN:
        outbox.deliver(scene.db, chosen, clock)
        pass_time(scene.db, 5)
        waited += 5
    return waited


def killed(scene: Scene, point: str) -> int:
    """How many copies of a mail the server has in the end, when a worker was killed at ``point``."""
    scene.lapse()
    held = contextlib.ExitStack()
    locked: list[bool] = []

    def lock(table: str, mode: str) -> None:
        connection = held.enter_context(scene.db.transaction())
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        connection.execute(text(f"LOCK TABLE {table} IN {mode} MODE"))
        locked.append(True)

    if point == "before outbox":
        lock("recipient", "ACCESS EXCLUSIVE")  # read when incidents are written and mails are not
    else:
        scene.office.when["kept"] = lambda: lock("outbox", "EXCLUSIVE")  # the server's 250 cannot be noted
    scene.start()
    _, name = scene.load()
    deadline = time.monotonic() + PATIENCE
    while not (locked and scene.waiting()):
        if time.monotonic() > deadline:
            raise SystemExit(f"The worker did not come to the point {point}.")
        time.sleep(0.05)
    scene.kill()
    held.close()
    scene.lapse()
    scene.start()
    scene.await_mail(name)
    while any(row["status"] in ("PENDING", "SENDING", "UNKNOWN") for row in scene.outbox()):
        time.sleep(0.2)  # a copy was there before this worker: wait until it, too, is done with the message
    scene.kill()
    copies = [scene.office.letters()[place]["Message-ID"] for place in scene.office.about(name)]
    assert len(Counter(copies)) == 1, "copies under different names"
    return len(copies)


def main() -> int:
    parser = argparse.ArgumentParser(description="Time alerts from data to mail server.")
    parser.add_argument("--categories", type=int, default=500)
    parser.add_argument("--regions", type=int, default=4)
    parser.add_argument("--years", type=int, default=3)
    parser.add_argument("--batches", type=int, default=50)
    parser.add_argument("--kills", type=int, default=3, help="at each of two points")
    args = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="tc-alerts-"))
    home.chmod(0o755)
    server = embedded.start(home)
    scene = Scene(args, home, server)
    try:
        begun = time.perf_counter()
        scene.fill()
        print(f"{len(scene.keys):,} series, {scene.days:,} days; made in {time.perf_counter() - begun:.0f} s\n")
        scene.office.open()
        scene.start()
        print("| way | batches | p50 s | p99 s | longest s |\n|---|---|---|---|---|", flush=True)
        for way, change in (("load", scene.load), ("sync", scene.write)):
            seconds = measured(scene, change, args.batches)
            p50, p99 = np.percentile(seconds, [50, 99])
            print(f"| {way} | {len(seconds)} | {p50:.1f} | {p99:.1f} | {max(seconds):.1f} |", flush=True)
        print(f"\nload average {os.getloadavg()[1]:.1f} over five minutes on {os.cpu_count()} cores")
        print(parts(scene))
        copies = Counter(str(one["Message-ID"]) for one in scene.office.letters())
        print(f"{len(copies)} mails, {sum(copies.values()) - len(copies)} of them twice", flush=True)
        waited = down_for_twenty_minutes(scene)
        print(f"mail server down for 20 minutes: accepted after {waited / 60:.1f} minutes", flush=True)
        for point in ("before outbox", "before mark"):
            found = [killed(scene, point) for _ in range(args.kills)]
            print(f"worker killed {point}, {args.kills} times: copies {found}", flush=True)
    finally:
        scene.kill()
        with contextlib.suppress(Exception):
            scene.office.close()
        scene.db.close()
        server.release()
        shutil.rmtree(home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
