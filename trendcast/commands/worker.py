"""`worker`: do due jobs in a process of their own, beside dashboards started with TRENDCAST_JOBS=off."""

from __future__ import annotations

import argparse
import signal
import threading
from datetime import UTC, datetime

from trendcast.commands.console import emit
from trendcast.settings import Settings

HELP = "do due jobs until stopped; any number of workers may run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="do what is due now, mail included, then end (for cron)")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast import logs, wording
    from trendcast.jobs.worker import Worker
    from trendcast.services import outbox
    from trendcast.store.engine import Database

    if not args.json:
        logs.begin(settings, "worker")
    worker = Worker(settings, lambda: datetime.now(UTC))
    if args.once:
        db = Database.open(settings, role="worker")
        done = sent = 0
        try:
            while worker.step(db):
                done += 1
            outbox.start_afresh(db)
            for channel in outbox.channels(settings):  # a limit of its own for each: many mails hold up no webhook
                sent += outbox.deliver(db, settings, worker.clock, channel=channel).sent
        finally:
            worker.leave(db)
            db.close()
        did = f"Did {wording.count(done, 'job')} and sent {wording.count(sent, 'message')}."
        emit(args, {"jobs": done, "messages": sent}, did)
        return 0
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    worker.run(stop)
    emit(args, {"stopped": True}, "The worker has stopped.")
    return 0
