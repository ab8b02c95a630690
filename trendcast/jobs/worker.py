"""The worker loop: make the slots that are due, take what waits, do it in a child process. Any number may run."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from trendcast.errors import DatabaseAway, LeaseLost, SchemaBehind, TrendCastError
from trendcast.services import alerts, outbox, schedule, sync, watch
from trendcast.services import jobs as job_service
from trendcast.services.runtime import Clock
from trendcast.settings import Settings
from trendcast.store import jobs, runs
from trendcast.store.engine import Database
from trendcast.store.listen import MAIL, Listener

log = logging.getLogger("trendcast.jobs.worker")

POLL = 25.0  # seconds: what a lost notification costs at most, and with a lease of 90 a killed worker: two minutes
MAIL_POLL = 5.0  # seconds between looks at messages whose next attempt is due
SYNC = 60.0  # seconds between syncs of the customer's own tables
# A quick look for something new there: so many seconds apart, and never more than a twentieth of the time.
SOURCE_POLL, SOURCE_SHARE = 5.0, 20.0
_STOP_LATENCY = 1.0
_LONGEST_PAUSE = 15.0  # seconds between attempts while the database is away


class Worker:
    """``Worker(settings, clock).run(stop)``; ``clock`` is not asked when something is due: the database's is.

    Two lanes: one for the jobs that take a machine's memory, one at a time, and one for the rest, so that a look or a
    detection does not wait behind a refresh. Both make their slots' work in child processes.
    """

    def __init__(self, settings: Settings, clock: Clock, database: Database | None = None) -> None:
        self.settings = settings
        self.clock = clock
        self.holder = f"{socket.gethostname()}:{os.getpid()}"
        self._given = database
        self._ticker: str | None = None
        self._sync_said = ""

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set. While the database is away it waits, and goes on when it is back.

        Raises SchemaBehind when the database is not at this version's schema.
        """
        database = self._given or self._open(stop)
        if database is None:
            return
        others = [
            threading.Thread(target=self._lane, args=(database, stop, True), name="heavy-jobs", daemon=True),
            *self._source_threads(database, stop),
            *(
                threading.Thread(target=self._mail, args=(database, stop, name), name=name, daemon=True)
                for name, channel in outbox.channels(self.settings).items()
                if channel.send is not None or name == "email"
            ),
        ]
        for other in others:
            other.start()
        try:
            self._lane(database, stop, False)
        finally:
            stop.set()
            for other in others:
                other.join()
            if self._given is None:
                database.close()

    def _open(self, stop: threading.Event) -> Database | None:
        pause = 1.0
        while not stop.is_set():
            try:
                return Database.open(self.settings, role="worker")
            except SchemaBehind:
                raise
            except DatabaseAway as error:
                log.warning("The worker waits: %s", error)
                stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        return None

    def _lane(self, database: Database, stop: threading.Event, heavy: bool, names: Sequence[str] | None = None) -> None:
        pause, away = 1.0, False
        while not stop.is_set():
            try:
                with Listener(database) as listener:
                    if away:
                        log.warning("The database is back.")
                    pause, away = 1.0, False
                    while not stop.is_set():
                        if not self.step(database, stop, heavy=heavy, names=names):
                            self._sleep(listener, stop)
            except DatabaseAway as error:
                if not away:
                    log.warning("The worker waits: %s", error)
                away = True
                stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            except Exception:
                log.exception("The worker stumbled and goes on in %.0f s.", POLL)
                stop.wait(POLL)
        if not heavy:
            self.leave(database)

    def _mail(self, database: Database, stop: threading.Event, channel: str) -> None:
        """Deliver messages of a channel as they are written, and those that wait when their time comes. A thread of its
        own: a slow mail server holds up nothing else, least of all the other way out."""
        while not stop.is_set():
            try:
                outbox.start_afresh(database)
                with Listener(database, (MAIL,)) as listener:
                    while not stop.is_set():
                        outbox.deliver(database, self.settings, self.clock, channel=channel)
                        for _ in range(int(MAIL_POLL / _STOP_LATENCY)):
                            if stop.is_set() or listener.wait(_STOP_LATENCY):
                                break
            except DatabaseAway:
                stop.wait(_LONGEST_PAUSE)
            except Exception:
                log.exception("Delivering mail stumbled and goes on in %.0f s.", POLL)
                stop.wait(POLL)

    def _source_threads(self, database: Database, stop: threading.Event) -> list[threading.Thread]:
        """With tables of the customer's own: one that watches them, and a lane in which their sync waits behind no
        refresh (a short one; the heavy lane may do it as well, and of both one at a time works)."""
        if not self._has_source():
            return []
        return [
            threading.Thread(target=self._source, args=(database, stop), name="source", daemon=True),
            threading.Thread(target=self._lane, args=(database, stop, True, ("sync",)), name="sync", daemon=True),
        ]

    def _source(self, database: Database, stop: threading.Event) -> None:
        """Ask for a sync as soon as a quick look shows something new, instead of at the end of the minute. What was
        asked for is not asked for twice: what a sync holds back stays new."""
        pause, asked = SOURCE_POLL, frozenset[tuple[str, str, str]]()
        while not stop.wait(pause):
            if self._ticker is None:  # another process looks
                continue
            begun = time.monotonic()
            try:
                new = sync.unseen(database, self.settings, clock=self.clock)
                if new <= asked or job_service.enqueue_again(database, "sync", 0.0):
                    asked = new
            except TrendCastError:  # the sync itself says what is wrong
                pause = SYNC
            except Exception:
                log.exception("Looking at the source stumbled and goes on in %.0f s.", SYNC)
                pause = SYNC
            else:
                pause = min(SYNC, max(SOURCE_POLL, SOURCE_SHARE * (time.monotonic() - begun)))

    def leave(self, database: Database) -> None:
        """Give the ticker's lease back, so that another worker need not wait for its end."""
        token, self._ticker = self._ticker, None
        if token is not None:
            try:
                jobs.release_lease(database, "ticker", token)
            except DatabaseAway:
                log.info("The ticker's lease runs out by itself.")

    def _sleep(self, listener: Listener, stop: threading.Event) -> None:
        deadline = time.monotonic() + POLL
        while not stop.is_set() and time.monotonic() < deadline:
            if listener.wait(_STOP_LATENCY):
                return

    def step(
        self,
        database: Database,
        stop: threading.Event | None = None,
        *,
        heavy: bool | None = None,
        names: Sequence[str] | None = None,
    ) -> bool:
        """One turn of a lane (None: of both; ``names``: of these jobs only): make what is due, do one job. Whether
        there was one."""
        if not heavy:
            self._tick(database)
        if names is None and heavy is not None:
            names = [name for name in job_service.JOBS if (name in job_service.ALONE) == heavy]
        claim = jobs.claim(database, names=names, alone=job_service.ALONE)
        if claim is None:
            return False
        level = logging.DEBUG if claim.name == "sync" else logging.INFO  # once a minute is too often for a log
        log.log(level, "Starting the job %s (slot %d, attempt %d).", claim.name, claim.id, claim.attempts)
        begun = time.monotonic()
        try:
            result = job_service.run_claimed(database, self.settings, claim, stop=stop)
        except LeaseLost as error:
            log.warning("%s", error)
        except DatabaseAway:
            raise
        except TrendCastError as error:
            log.warning("The job %s did not succeed: %s", claim.name, error)
        else:
            log.log(level, "The job %s is done after %.1f s.", claim.name, time.monotonic() - begun)
            if claim.name == "sync":
                self._say(result)
        return True

    def _tick(self, database: Database) -> None:
        self._ticker = jobs.take_lease(database, "ticker", self.holder, token=self._ticker)
        if self._ticker is None:
            return
        tick(database, self.settings)
        for lost in jobs.bury(database):
            log.error("The job %s of %s is dead: %s", lost["name"], lost["scheduled_for"], lost["error"])
        runs.abandon(database)
        if self._has_source():
            job_service.enqueue_again(database, "sync", SYNC)

    def _has_source(self) -> bool:
        return bool(self.settings.source_database_url or self.settings.database_url)

    def _say(self, result: Mapping[str, object]) -> None:
        """What is wrong with the customer's own tables is said once, not every minute."""
        said = str(result.get("said", ""))
        if said and said != self._sync_said:
            log.warning("Your own tables: %s", said)
        self._sync_said = said


def tick(database: Database, settings: Settings) -> None:
    """Make the slots that are due by the database's clock, and write the mails that time makes due. Two tickers at once
    do it once."""
    now = database.rows("job_now")[0]["now"]
    zone: ZoneInfo = settings.time_zone  # type: ignore[assignment]
    check = max(schedule.last_due(now, at, zone) for at in schedule.CHECKS_AT)
    mail = database.rows("alert_slot_wanted", due=check)[0]
    if not mail["demo_at_work"]:
        if mail["wanted"]:
            job_service.enqueue(database, "digest", {"slot": check.isoformat()}, check)
        alerts.remind(database, settings, now)
        watch.watch(database, settings, now)
    unseen = database.rows("detect_need")[0]["newest_sales"]
    if unseen is not None:
        # Sales that no detection has seen, however they came: looked at as soon as they are there.
        job_service.enqueue(database, "detect", {}, unseen)
    due = schedule.last_due(now, schedule.REFRESH_AT, zone)
    need = jobs.refresh_need(database, due)
    if need["open"]:
        return
    if need["published_batch"] is None:
        # Nothing is published yet: every load that brought sales asks once, at its own time.
        if need["newest_sales"] is not None:
            job_service.enqueue(database, "refresh", {}, need["newest_sales"])
    elif need["batch_at_due"] is not None and need["batch_at_due"] > need["published_batch"]:
        job_service.enqueue(database, "refresh", {}, due)
