"""The soak: a whole installation under load, whose processes are killed again and again, and what became of the data.

    make soak MINUTES=60
    python benchmarks/soak.py --minutes 6 --kill-every 60     # a rehearsal

Two dashboards behind nginx (deploy/nginx.conf), a worker, the REST service alone, the embedded PostgreSQL and a mail
server run in a temporary folder, each process restarted a second after it ended. Day after day of known sales comes in
by the command line, with outages in them, corrections, files sent twice and loads that are killed half-way; forecasts
are renewed; dashboard, worker, API and second dashboard are killed (SIGKILL) in turn. Probes ask `/health` and open
pages through the proxy, and past it at the first dashboard, which is what an installation with a single one would be.

Prints tables in markdown. Ends with 1 when fewer than 99.9 % of the probes through the proxy were good, or when
anything was lost or doubled. Needs nginx.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
import psycopg2

from benchmarks import _intact
from benchmarks._installation import RECIPIENTS, Installation, Life, Visitor
from trendcast.demo import generate
from trendcast.services import jobs
from trendcast.store import embedded
from trendcast.store.engine import Database

TARGET = 0.999
PAGES = ("forecasts", "anomaly-inbox", "inventory", "accuracy", "data")
TURN = ("dashboard", "worker", "API", "second dashboard")
KEY = ["date_id", "product_category", "region", "store"]
NEW_DAYS = 13  # that come in during the soak; the newest data must not be history, or nobody is alerted
RECONNECT = 1.0  # seconds after which a browser, or a monitor, tries once more
SETTLE = 300.0  # seconds the work may take to end after the last load
SAID = 60.0  # seconds between lines of progress


def main() -> int:
    parser = argparse.ArgumentParser(description="Run an installation, kill its processes, count what was lost.")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--kill-every", type=float, default=300, help="seconds between kills")
    parser.add_argument("--probe-every", type=float, default=5, help="seconds between probes of a kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--logs", type=Path, help="keep the logs of all processes in this folder")
    args = parser.parse_args()
    if shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        print("nginx is not installed: apt-get install nginx-light")
        return 1
    folder = Path(tempfile.mkdtemp(prefix="tc-soak-"))
    folder.chmod(0o755)
    try:
        return asyncio.run(Soak(args, folder).run())
    finally:
        if args.logs is not None and (folder / "logs").exists():
            shutil.copytree(folder / "logs", args.logs, dirs_exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Probe:
    """The outcomes of one kind of question. ``at_once`` of ``asked`` were good, ``again`` at the second try."""

    name: str
    target: bool = True
    asked: int = 0
    at_once: int = 0
    again: int = 0
    seconds: list[float] = field(default_factory=list)
    wrong: list[tuple[float, str]] = field(default_factory=list)

    async def ask(self, question: Callable[[], Awaitable[str]]) -> None:
        self.asked += 1
        begun = time.monotonic()
        said = await question()
        if not said:
            self.at_once += 1
            self.seconds.append(time.monotonic() - begun)
            return
        self.wrong.append((begun, said))
        await asyncio.sleep(RECONNECT)
        said = await question()
        if said:
            self.wrong.append((begun, f"again: {said}"))
        else:
            self.again += 1
            self.seconds.append(time.monotonic() - begun)

    @property
    def strict(self) -> float:
        return self.at_once / max(self.asked, 1)

    @property
    def good(self) -> float:
        return (self.at_once + self.again) / max(self.asked, 1)


class Sales:
    """The retailer's files, one after the other, and the rows and batches that must be there when they are in."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.chance = folder, random.Random(seed)
        today = datetime.now(UTC).date()
        frames = generate(4, 4, 0, 2, today)
        sales = frames["sales_daily"].assign(store=lambda frame: frame.get("store", ""))
        sales["date_id"] = pd.to_datetime(sales["date_id"]).dt.date
        stock = frames["inventory_daily"]
        stock["date_id"] = pd.to_datetime(stock["date_id"]).dt.date
        self.regions = sorted(sales["region"].unique())
        last = today - timedelta(days=NEW_DAYS)
        self.days = [last + timedelta(days=n) for n in range(1, NEW_DAYS + 1)]
        outages = {self.days[n]: self.regions[n % len(self.regions)] for n in (3, 6, 9) if n < len(self.days)}
        for day, region in outages.items():  # a whole region sells a quarter
            hit = (sales["date_id"] == day) & (sales["region"] == region)
            sales.loc[hit, ["sales_units", "sales_revenue"]] = np.round(
                sales.loc[hit, ["sales_units", "sales_revenue"]] * 0.25, 2
            )
        self.outages = len(outages)
        self.sales, self.stock = sales, stock
        self.model: dict[tuple[Any, ...], float] = {}
        self.stock_rows: set[tuple[Any, ...]] = set()
        self.batches = 0
        self.sent: list[Path] = []
        self.number = 0
        self._plan = self._files()

    def first(self) -> Path:
        """The past."""
        before = self.sales[self.sales["date_id"] < self.days[0]]
        return self._write(before, self.stock[self.stock["date_id"] < self.days[0]])

    def next(self) -> Path:
        """One more: half of a day, its other half, a correction of what came before, or a file that came before."""
        return next(self._plan)

    def _files(self) -> Any:
        for day in self.days:
            of_day = self.sales[self.sales["date_id"] == day]
            half = of_day["region"].isin(self.regions[:2])
            yield self._write(of_day[half], self.stock[self.stock["date_id"] == day])
            yield self._write(of_day[~half])
            yield self._correction()
            yield self.chance.choice(self.sent)
        while True:
            yield self._correction()
            yield self.chance.choice(self.sent)

    def _correction(self) -> Path:
        known = sorted({key[0] for key in self.model})[-10:]
        day = self.chance.choice(known)
        rows = self.sales[self.sales["date_id"] == day].copy()
        rows = rows[[tuple(key) in self.model for key in rows[KEY].itertuples(index=False, name=None)]]
        rows = rows.sample(3, random_state=self.chance.randrange(10**6))
        rows["sales_units"] = [self.model[tuple(key)] for key in rows[KEY].itertuples(index=False, name=None)]
        rows["sales_units"] += self.number % 7 + 1
        return self._write(rows)

    def _write(self, sales: pd.DataFrame, stock: pd.DataFrame | None = None) -> Path:
        self.number += 1
        folder = self.folder / f"{self.number:03d}"
        folder.mkdir(parents=True)
        sales.to_csv(folder / "sales_daily.csv", index=False)
        self.batches += 1
        keys = sales[KEY].itertuples(index=False, name=None)
        self.model.update(zip(keys, sales["sales_units"].tolist(), strict=True))
        if stock is not None:
            stock.to_csv(folder / "inventory_daily.csv", index=False)
            self.batches += 1
            self.stock_rows.update(stock[["date_id", "product_category"]].itertuples(index=False, name=None))
        self.sent.append(folder)
        return folder


class Soak:
    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder = args, folder
        self.chance = random.Random(args.seed)
        self.through = [Probe("/health, through the proxy"), Probe("a page, through the proxy")]
        self.single = [Probe("/health, of one dashboard", False), Probe("a page, of one dashboard", False)]
        self.api = Probe("/health, of the API alone", False)
        self.kills: Counter[str] = Counter()
        self.killed_at: list[tuple[float, str]] = []
        self.loads: Counter[str] = Counter()
        self.load_seconds: list[float] = []
        self.wrong: list[str] = []
        self.takeovers: list[float] = []
        self.begun = self.ends = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        self.sales = Sales(self.folder / "files", self.args.seed)
        load_average = [os.getloadavg()[0]]
        async with Installation(self.folder) as self.it:
            self.server = await asyncio.to_thread(embedded.start, self.it.home)
            self.db = Database(self.server.url, role="worker")
            try:
                await self._prepare()
                self.begun = time.monotonic()
                self.ends = self.begun + 60 * self.args.minutes
                await asyncio.gather(
                    self._probing(), self._loading(), self._refreshing(), self._killing(), self._watching(load_average)
                )
                await asyncio.gather(*self._tasks)
                await self._settle()
                facts = await asyncio.to_thread(self._check)
            finally:
                self.db.close()
        self.server.release()
        self._expect("trouble in the files", _intact.trouble_stopped(self.server), [])
        self._report(facts, load_average)
        bad = [one for one in self.through if one.good < TARGET]
        for line in self.wrong:
            print(f"LOST OR WRONG: {line}")
        for one in bad:
            print(f"MISSED: {one.name}: {100 * one.good:.2f} %")
        return 1 if self.wrong or bad else 0

    # --- what happens ---

    async def _prepare(self) -> None:
        """The past is loaded, its forecast published, its anomalies known."""
        assert await self._load(self.sales.first()) == 0
        async with asyncio.timeout(600):
            while not self._rows("SELECT 1 FROM current_run") or self._open_jobs():
                assert not (dead := self._rows("SELECT name, error FROM job_slot WHERE state = 'dead'")), dead
                await asyncio.sleep(1)
        say("The past is loaded and its forecast published.")

    async def _load(self, folder: Path, kill_after: float | None = None) -> int | None:
        """``python -m trendcast load``; its exit code, None when it was killed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "trendcast", "load", str(folder), "--json", env=self.it.environment,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            _, said = await asyncio.wait_for(process.communicate(), kill_after)
        except TimeoutError:
            process.send_signal(signal.SIGKILL)
            await process.wait()
            return None
        if process.returncode:
            say(f"load {folder.name} ended with {process.returncode}: {said.decode()[-300:]}")
        return process.returncode

    async def _loading(self) -> None:
        """A file each minute of sixty; each third is killed on its way at first, and sent again as cron would."""
        pause = 60 * self.args.minutes / 60
        async for turn in self._every(pause, 0.5 * pause):
            folder = self.sales.next()
            if turn % 3 == 2 and await self._load(folder, kill_after=self.chance.uniform(0.2, 4.0)) is None:
                self.loads["killed"] += 1
            for _ in range(5):
                begun = time.monotonic()
                code = await self._load(folder)
                if code == 0:
                    self.loads["done"] += 1
                    self.load_seconds.append(time.monotonic() - begun)
                    break
                self.loads["failed, sent again"] += 1
                await asyncio.sleep(2)
            else:
                self.wrong.append(f"the file {folder.name} could not be loaded")

    async def _refreshing(self) -> None:
        """Forecasts are asked for as often as something is killed, a little before it, so that some are cut short."""
        async for _ in self._every(self.args.kill_every, self.args.kill_every - self.chance.uniform(2, 12)):
            with contextlib.suppress(Exception):
                await asyncio.to_thread(jobs.enqueue, self.db, "refresh", {})

    async def _killing(self) -> None:
        async for turn in self._every(self.args.kill_every, self.args.kill_every):
            name = TURN[turn % len(TURN)]
            self.kills[name] += 1
            self.killed_at.append((time.monotonic(), name))
            self.it.processes[name].kill()
            if name == "worker":
                self._begin(self._takeover())

    async def _takeover(self) -> None:
        """Seconds until the new worker makes the slots that are due."""
        begun = time.monotonic()
        killed = self.it.processes["worker"].process
        while time.monotonic() < begun + 180:
            await asyncio.sleep(1)
            process = self.it.processes["worker"].process
            holder = self._rows("SELECT holder FROM lease WHERE name = 'ticker' AND lease_until > now()")
            if process is not None and process is not killed and holder and holder[0][0].endswith(f":{process.pid}"):
                self.takeovers.append(time.monotonic() - begun)
                return

    async def _probing(self) -> None:
        """Each kind every few seconds, none waiting for another. Four regular visitors and, each second time, a new
        one."""
        regulars = [Visitor(self.it.front, network) for network in range(1, 5)]
        port = self.it.processes["dashboard"].port
        api_port = self.it.processes["API"].port
        assert port is not None
        assert api_port is not None
        local = Visitor(port, direct=True)
        api = Visitor(api_port, direct=True)

        async def look(probe: Probe, visitor: Visitor, page: str, *, stays: bool) -> None:
            await probe.ask(lambda: visitor.rerun(page))
            if not stays:
                await visitor.close()

        async for turn in self._every(self.args.probe_every):
            page = PAGES[turn % len(PAGES)]
            stranger = Visitor(self.it.front, 10 + turn % 100)
            self._begin(self.through[0].ask(stranger.health))
            self._begin(self.single[0].ask(local.health))
            self._begin(self.api.ask(api.health))
            if turn % 2:
                self._begin(look(self.through[1], stranger, page, stays=False))
                self._begin(look(self.single[1], Visitor(port, direct=True), page, stays=False))
            else:
                self._begin(look(self.through[1], regulars[turn // 2 % len(regulars)], page, stays=True))
        for one in regulars:
            await one.close()

    async def _watching(self, load_average: list[float]) -> None:
        """Memory, load, and that what is shown is a whole run."""
        said = time.monotonic()
        async for _ in self._every(10.0):
            for process in self.it.processes.values():
                process.weigh()
            load_average.append(os.getloadavg()[0])
            for status, rows, whole in await asyncio.to_thread(self._rows, SHOWN):
                if status != "ready" or rows != whole:
                    self.wrong.append(f"a run was shown that is {status} and has {rows} of {whole} rows")
            if time.monotonic() - said >= SAID:
                said = time.monotonic()
                done = (said - self.begun) / 60
                parts = ", ".join(f"{one.name} {one.at_once}+{one.again}/{one.asked}" for one in
                                  [*self.through, *self.single])  # fmt: skip
                say(f"{done:.0f} min: {parts}; kills {sum(self.kills.values())}, loads {dict(self.loads)}")

    async def _every(self, seconds: float, first: float = 0.0) -> Any:
        due, turn = self.begun + first, 0
        while due < self.ends:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield turn
            turn += 1
            due = max(due + seconds, time.monotonic())

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- what became of it ---

    async def _settle(self) -> None:
        """All work ends: detection of the last load, a last forecast, the mails."""
        await asyncio.to_thread(jobs.enqueue, self.db, "refresh", {})
        deadline = time.monotonic() + SETTLE
        while self._open_jobs() or self._rows("SELECT 1 FROM outbox WHERE status IN ('PENDING', 'SENDING', 'UNKNOWN')"):
            if time.monotonic() > deadline:
                self.wrong.append(f"after {SETTLE:.0f} s there was still work: {self._open_jobs()}")
                return
            await asyncio.sleep(1)

    def _open_jobs(self) -> list[tuple[Any, ...]]:
        """Jobs at work or due, and sales nobody has looked at."""
        return self._rows(
            "SELECT name, state, attempts FROM job_slot "
            "WHERE state = 'running' OR (state = 'queued' AND next_attempt_at <= now() AND name <> 'sync') "
            "UNION ALL SELECT 'detect', 'missing', 0 WHERE (SELECT max(id) FROM load_batch WHERE status = 'merged') > "
            "coalesce((SELECT max(data_version) FROM detection_run WHERE status = 'done'), 0)"
        )

    def _check(self) -> dict[str, Any]:
        """Compare with what was sent; every difference is a line in ``wrong``."""
        stored = {tuple(row[:4]): float(row[4]) for row in self._rows(
            "SELECT date_id, product_category, region, store, sales_units FROM sales_daily")}  # fmt: skip
        self._expect("rows of sales", len(stored), len(self.sales.model))
        differ = [key for key, units in self.sales.model.items() if abs(stored.get(key, -1) - units) > 1e-6]
        self._expect("rows of sales that differ", len(differ), 0)
        stock = {tuple(row) for row in self._rows("SELECT date_id, product_category FROM inventory_daily")}
        self._expect("rows of stock", stock, self.sales.stock_rows)
        batches = self._rows("SELECT table_name, sha256, status, count(*) FROM load_batch GROUP BY 1, 2, 3")
        self._expect("batches", len(batches), self.sales.batches)
        self._expect("batches twice or not merged", [row for row in batches if row[2:] != ("merged", 1)], [])
        self._expect("runs left building", self._rows("SELECT id FROM run WHERE status = 'building'"), [])
        self._expect("jobs given up", self._rows("SELECT name, error FROM job_slot WHERE state = 'dead'"), [])
        self._expect("jobs still running", self._rows("SELECT name FROM job_slot WHERE state = 'running'"), [])
        newest, shown = self._rows(
            "SELECT (SELECT max(id) FROM load_batch WHERE table_name = 'sales_daily'), r.data_batch_hi "
            "FROM current_run c JOIN run r ON r.id = c.run_id")[0]  # fmt: skip
        self._expect("newest batch in the forecast shown", shown >= newest, True)
        facts = self._check_mail()
        self._expect("trouble in the database", _intact.trouble_running(self.server), [])
        shouts = Counter[str]()
        for file in (self.folder / "logs").glob("*.log"):
            shouts[file.stem] = file.read_text(errors="replace").count("Traceback")
        facts["tracebacks"] = dict(shouts)
        for name, one in self.it.processes.items():
            self._expect(f"ends of the {name} that nobody asked for", one.unasked, 0)
        runs = dict(self._rows("SELECT status, count(*) FROM run GROUP BY 1"))
        again = self._rows("SELECT count(*) FROM job_slot WHERE attempts > 1")[0][0]
        return {**facts, "runs": runs, "jobs taken over": again, "rows": len(stored), "batches": len(batches)}

    def _check_mail(self) -> dict[str, Any]:
        """Each alert once per recipient in the outbox; each message there arrived once, or twice under one name."""
        rows = self._rows("SELECT message_id, recipient, status, reason, incident_id, attempts, "
                          "extract(epoch FROM data_available_at) FROM outbox")  # fmt: skip
        told = self._rows("SELECT id FROM incident WHERE told ->> 'reason' IS NOT NULL")
        self._expect("messages in the outbox twice", len(rows) - len({row[:2] for row in rows}), 0)
        written = {(row[0], row[1]) for row in rows if row[2] == "SENT"}
        self._expect("messages not sent", [row for row in rows if row[2] not in ("SENT", "CANCELLED")], [])
        got = self.it.postbox.mails
        self._expect("messages that did not arrive", written - set(got), set())
        self._expect("mails nobody wrote", set(got) - written, set())
        self._expect("mails more than twice", [key for key, count in got.items() if count > 2], [])
        firsts = Counter((row[4], row[1]) for row in rows if row[3] == "first")
        self._expect("incidents alerted twice", [key for key, count in firsts.items() if count > 1], [])
        mailed = {row[4] for row in rows if row[3] == "first"}
        storms = any(row[3] == "storm" for row in rows)
        if self.args.minutes >= 6 and not mailed and not storms:
            self.wrong.append("no alert was mailed, though regions failed")
        for incident in mailed:
            self._expect(f"recipients of incident {incident}", {key[1] for key in firsts if key[0] == incident},
                         set(RECIPIENTS))  # fmt: skip
        delays = [self.it.postbox.first_at[row[0], row[1]] - float(row[6]) for row in rows
                  if row[6] is not None and row[3] == "first" and (row[0], row[1]) in got]  # fmt: skip
        return {
            "incidents told": len(told),
            "incidents mailed": len(mailed),
            "messages": dict(Counter(row[2] for row in rows)),
            "mails that came twice": sum(count == 2 for count in got.values()),
            "seconds from data to mail": [round(value, 1) for value in sorted(delays)],
        }

    def _expect(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.wrong.append(f"{what}: {found!s:.400} instead of {wanted!s:.400}")

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(
            host=str(self.server.data), user="postgres", dbname=embedded.DATABASE,
            options="-c search_path=trendcast -c timezone=UTC",
        )  # fmt: skip
        try:
            with connection.cursor() as cursor:
                cursor.execute(query)
                return list(cursor.fetchall())
        finally:
            connection.close()

    # --- what is said of it ---

    def _report(self, facts: dict[str, Any], load_average: list[float]) -> None:
        print(
            f"\nSoak of {self.args.minutes:g} minutes, a kill every {self.args.kill_every:g} s, "
            f"seed {self.args.seed}; load average {np.mean(load_average):.1f} (highest {max(load_average):.1f}) on "
            f"{os.cpu_count()} cores.\n"
        )
        print("| Probe | asked | good at once | good, with one reconnect | p50 | p99 | longest gap |")
        print("|---|---|---|---|---|---|---|")
        for one in [*self.through, *self.single, self.api]:
            median, high = np.percentile(one.seconds, [50, 99]) if one.seconds else (np.nan, np.nan)
            print(f"| {one.name} | {one.asked} | {100 * one.strict:.2f} % | {100 * one.good:.2f} % | "
                  f"{median:.2f} s | {high:.2f} s | {self._gap(one):.0f} s |")  # fmt: skip
        print("\n| Killed | times | ready again after (each, seconds) | start (median) | memory, highest | slope |")
        print("|---|---|---|---|---|---|")
        for name, process in self.it.processes.items():
            gaps = ", ".join(f"{gap:.1f}" for gap in process.gaps) or "-"
            if name == "worker":
                gaps = ", ".join(f"{gap:.1f}" for gap in self.takeovers) + " (at work)"
            starts = [life.ready for life in process.lives if life.ready is not None]
            start = f"{np.median(starts):.1f} s" if starts else "-"
            memory = max((megabytes for life in process.lives for _, megabytes in life.memory), default=np.nan)
            print(f"| {name} | {self.kills[name]} | {gaps} | {start} | {memory:.0f} MB | {slope(process.lives)} |")
        print(f"\nLoads: {json.dumps(dict(self.loads))}, median {np.median(self.load_seconds or [np.nan]):.1f} s.")
        for name, fact in facts.items():
            print(f"- {name}: {fact}")
        print("\nProbes that were not good at once:")
        for one in [*self.through, *self.single, self.api]:
            for at, said in one.wrong:
                killed = [(at - moment, name) for moment, name in self.killed_at if -3 <= at - moment < 90]
                after = f"{killed[-1][0]:.1f} s after the {killed[-1][1]} was killed" if killed else "no kill near"
                print(
                    f"- {one.name}, minute {(at - self.begun) / 60:.1f}, {after}: {re.sub(r'[^ -~]', ' ', said):.200}"
                )

    def _gap(self, one: Probe) -> float:
        """The longest time without a good answer: from the first of the probes that failed twice in a row to the
        next one."""
        moments = sorted({at for at, said in one.wrong if said.startswith("again")})
        step = self.args.probe_every * (2 if one is self.single[1] else 1)
        longest, start, before = 0.0, 0.0, -1e9
        for at in moments:
            if at - before > 1.5 * step:
                start = at
            before = at
            longest = max(longest, at - start + step)
        return longest


SHOWN = """
SELECT r.status, (SELECT count(*) FROM forecast f WHERE f.run_id = r.id), r.n_series * r.horizon
FROM current_run c JOIN run r ON r.id = c.run_id"""


def slope(lives: list[Life]) -> str:
    """MB per hour of the longest life, without its first three minutes."""
    longest = max((life.memory for life in lives), key=len, default=[])
    settled = [(at, megabytes) for at, megabytes in longest if at - longest[0][0] > 180]
    if len(settled) < 30:
        return "too short"
    at, megabytes = np.array(settled).T
    return f"{np.polyfit((at - at[0]) / 3600, megabytes, 1)[0]:+.0f} MB/h in {(at[-1] - at[0]) / 60:.0f} min"


def say(words: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
