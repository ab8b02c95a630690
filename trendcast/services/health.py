"""Whether TrendCast is well: what a monitor asks, in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from trendcast.services.schedule import REFRESH_AT, next_due

if TYPE_CHECKING:
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database

SLOW = 1.0  # seconds of a round trip to the database
GRACE = timedelta(minutes=60)  # what a refresh may take after its hour, or after a first load
LATE = 2  # days the newest full day may lie back before the data counts as late
HISTORICAL = 14  # data older than this when it arrived is history, not late
STUCK = timedelta(minutes=10)  # a due job that nobody takes, mail that does not go out
PROMISE = timedelta(minutes=30)  # from data to alert: longer without a worker or a check is worth an alarm


def health(db: Database, clock: Clock, zone: tzinfo = UTC, *, for_strangers: bool = False) -> dict[str, Any]:
    """``status`` healthy or degraded, and the ``reasons`` as sentences; ``zone``: the retailer's. ``for_strangers``:
    without what a job or another server said of its failure, which may name what is nobody else's business.

    Raises DatabaseAway or SchemaBehind when nothing can be served.
    """
    from trendcast.store import migrate

    seconds = db.ping()
    migrate.check(db)
    facts = db.rows("health", historical=HISTORICAL)[0]
    if for_strangers:
        facts = {**facts, "refresh_error": None, "mail_error": None}
    reasons = [f"The database takes {seconds:.1f} s to answer."] if seconds >= SLOW else []
    reasons += judge(facts, clock().date(), zone)
    return {"status": "degraded" if reasons else "healthy", "reasons": reasons, "database_seconds": seconds}


def worker_alive(db: Database) -> bool:
    """Whether any process does due jobs."""
    return bool(db.rows("worker_alive")[0]["alive"])


def worker_seen(db: Database) -> datetime | None:
    """When a process that does due jobs was last seen; None for never. One that died counts as seen until its lease
    would have ended."""
    seen: datetime | None = db.rows("worker_alive")[0]["seen"]
    return seen


def judge(facts: Mapping[str, Any], today: date, zone: tzinfo = UTC) -> list[str]:
    """The reasons why the service is not well, from the facts of sql/health.sql."""
    reasons: list[str] = []
    if facts["demo_at_work"]:
        return reasons
    now: datetime = facts["now"]
    because = f" The last attempt failed: {facts['refresh_error']}" if facts["refresh_error"] else ""
    loaded, unpublished = facts["sales_committed_at"], facts["unpublished_since"]
    if facts["published_at"] is None:
        if loaded is not None and (not facts["refresh_open"] or now - loaded > GRACE) and now - loaded > STUCK:
            reasons.append(f"Data is loaded, but no forecast has been published yet.{because}")
    elif unpublished is not None and now > next_due(unpublished, REFRESH_AT, zone) + GRACE:
        reasons.append(
            f"The forecasts of {facts['published_at']:%Y-%m-%d %H:%M} UTC do not hold the data loaded since "
            f"{unpublished:%Y-%m-%d %H:%M} UTC.{because}"
        )
    live = facts["sales_last_day"] is not None and not is_historical(facts["days_old_when_loaded"])
    if live:
        days = (today - facts["sales_last_day"]).days
        if days > LATE:
            reasons.append(f"The newest sales are of {facts['sales_last_day']}, {days} days ago: data is late.")
    reasons += _work(facts, now, live=live)
    why = f" {facts['mail_error']}" if facts["mail_error"] else ""
    if facts["urgent_since"] is not None and now - facts["urgent_since"] > STUCK:
        reasons.append(f"An urgent alert has waited since {_at(facts['urgent_since'])} to be sent.{why}")
    elif facts["mail_failing_since"] is not None and now - facts["mail_failing_since"] > STUCK:
        reasons.append(f"Messages have failed since {_at(facts['mail_failing_since'])}.{why}")
    if facts["held_batches"]:
        count = facts["held_batches"]
        reasons.append(f"{count} loaded {'batch waits' if count == 1 else 'batches wait'} for someone to accept.")
    return reasons


def _work(facts: Mapping[str, Any], now: datetime, *, live: bool) -> list[str]:
    """Whether somebody does the jobs; ``live``: the data is not historical, so that checks and alerts are owed."""
    seen: datetime | None = facts["worker_seen"]
    silent_since = seen or facts["sales_committed_at"]
    nobody = not facts["worker_alive"] and not facts["job_at_work"]
    if live and nobody and silent_since is not None and now - silent_since > PROMISE:
        since = f"since {_at(seen)}" if seen else "since sales were loaded"
        return [
            f"No worker has been seen {since}: nothing is refreshed, checked or sent. Set TRENDCAST_JOBS=on, or start "
            "python -m trendcast worker."
        ]
    reasons = []
    if facts["waiting_since"] is not None and now - facts["waiting_since"] > STUCK and not facts["job_at_work"]:
        worker = "" if facts["worker_alive"] else " No worker is running: set TRENDCAST_JOBS=on or start one."
        reasons.append(f"Jobs have been waiting since {_at(facts['waiting_since'])}.{worker}")
    if facts["unchecked_since"] is not None and now - facts["unchecked_since"] > PROMISE:
        reasons.append(f"The sales loaded at {_at(facts['unchecked_since'])} have not been checked for anomalies.")
    return reasons


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def is_historical(days_old_when_loaded: int | None) -> bool:
    """Whether data ended long before it came: then it is not late, and nothing waits for more."""
    return days_old_when_loaded is not None and days_old_when_loaded > HISTORICAL
