"""The worker loop: make the slots that are due, take what waits, do it in a child process. Any number may run."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime

from trendcast.errors import DatabaseAway, LeaseLost, TrendCastError
from trendcast.jobs import schedule
from trendcast.services import jobs as job_service
from trendcast.settings import Settings
from trendcast.store import jobs
from trendcast.store.engine import Database
from trendcast.store.listen import Listener

log = logging.getLogger("trendcast.jobs.worker")

POLL = 30.0  # seconds: what a lost notification costs at most
_STOP_LATENCY = 1.0


class Worker:
    """``Worker(settings, clock).run(stop)``; ``clock`` is not asked when something is due: the database's is."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime], database: Database | None = None) -> None:
        self.settings = settings
        self.clock = clock
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"
        self._given = database
        self._ticker: str | None = None

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set. While the database is away it waits, and goes on when it is back."""
        pause = 1.0
        away = False
        while not stop.is_set():
            try:
                database = self._given or Database.open(self.settings, role="worker")
                try:
                    with Listener(database) as listener:
                        if away:
                            log.warning("The database is back.")
                        pause, away = 1.0, False
                        self._work(database, listener, stop)
                finally:
                    if self._given is None:
                        database.close()
            except DatabaseAway as error:
                if not away:
                    log.warning("The worker waits: %s", error)
                away = True
                stop.wait(pause)
                pause = min(2 * pause, 15.0)

    def _work(self, database: Database, listener: Listener, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                if not self.step(database, stop):
                    self._sleep(listener, stop)
        finally:
            self.leave(database)

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

    def step(self, database: Database, stop: threading.Event | None = None) -> bool:
        """One turn: make due slots, bury lost ones, do one job. Whether there was one."""
        self._ticker = jobs.take_lease(database, "ticker", self.holder, token=self._ticker)
        if self._ticker is not None:
            tick(database)
            for lost in jobs.bury(database):
                log.error("The job %s of %s is dead: %s", lost["name"], lost["scheduled_for"], lost["error"])
        claim = jobs.claim(database, alone=job_service.ALONE)
        if claim is None:
            return False
        log.info("Starting the job %s (slot %d, attempt %d).", claim.name, claim.id, claim.attempts)
        begun = time.monotonic()
        try:
            job_service.run_claimed(database, self.settings, claim, stop=stop)
        except LeaseLost as error:
            log.warning("%s", error)
        except DatabaseAway:
            raise
        except TrendCastError as error:
            log.warning("The job %s did not succeed: %s", claim.name, error)
        else:
            log.info("The job %s is done after %.1f s.", claim.name, time.monotonic() - begun)
        return True


def tick(database: Database) -> None:
    """Make the slots that are due by the database's clock. Two tickers at once make them once."""
    now = database.rows("job_now")[0]["now"]
    due = schedule.last_due(now, schedule.REFRESH_AT, schedule.REFRESH_ZONE)
    need = jobs.refresh_need(database, due)
    if need["open"]:
        return
    if need["published_batch"] is None:
        # Nothing is published yet: every load that brought sales asks once, at its own time.
        if need["newest_sales"] is not None:
            job_service.enqueue(database, "refresh", {}, need["newest_sales"])
    elif need["batch_at_due"] is not None and need["batch_at_due"] > need["published_batch"]:
        job_service.enqueue(database, "refresh", {}, due)
