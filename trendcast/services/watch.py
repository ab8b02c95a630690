"""What went wrong inside TrendCast, or did not happen: told once by mail, whoever looks at the pages or not."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from trendcast import wording
from trendcast.services import alerts, outbox, schedule
from trendcast.settings import Settings

if TYPE_CHECKING:
    from trendcast.store.engine import Database

log = logging.getLogger("trendcast.alerts")

LATE_MINUTES, URGENT_MINUTES = 60, 10

# Jobs that nobody waits for: of the others whoever asked sees the failure. Whoever left a file to a worker may be gone.
UNATTENDED = ("refresh", "detect", "digest", "sync", "push", "upload")
RECENT = timedelta(days=1)


def watch(db: Database, settings: Settings, now: datetime) -> list[str]:
    """Is the watchman awake? Writes a notice, once for each case, when something did not happen, a job failed for good
    or a load is held; returns the sentences. Called by the ticker, which is no part of what it watches."""
    return _late(db, settings, now) + _failed(db, settings, now)


def _late(db: Database, settings: Settings, now: datetime) -> list[str]:
    """A load that was not checked, a refresh that did not come, and urgent mail that cannot be sent."""
    said = []
    row = db.rows("alert_watch", now=now, late=LATE_MINUTES)[0]
    if row["unchecked_since"] is not None:
        said.append(
            f"Sales that were loaded at {wording.at(row['unchecked_since'])} have not been checked for anomalies "
            "yet. Look at the jobs on the Data page: is a worker running?"
        )
        alerts.notice(db, settings, f"watch|detector|{row['unchecked_batch']}", "The detector has not run", said[-1:])
    since = row["unrefreshed_since"]
    if since is not None and now > schedule.refresh_due(since, settings) + timedelta(minutes=LATE_MINUTES):
        said.append(
            f"The forecasts are older than the data loaded at {wording.at(row['unrefreshed_since'])}: the refresh "
            "that was due has not succeeded. The Data page shows why."
        )
        alerts.notice(
            db, settings, f"watch|refresh|{row['unrefreshed_batch']}", "The forecasts are not renewed", said[-1:]
        )
    for channel in outbox.state(db, settings):
        since = channel["urgent_since"]
        if since is not None and not channel["missing"] and (now - since).total_seconds() > URGENT_MINUTES * 60:
            why = channel["last_error"] or "no answer yet"
            said.append(f"Urgent {channel['channel']} has waited since {wording.at(since)}: {why}")
            # By the other way, and into the log: this one does not work.
            name = channel["channel"]
            key = f"watch|{name}|{since:%Y-%m-%dT%H:%M}"
            if alerts.notice(db, settings, key, "Alerts cannot be sent", said[-1:], without=name):
                log.error("%s", said[-1])
    return said


def _failed(db: Database, settings: Settings, now: datetime) -> list[str]:
    """Each job that failed for good, and each load that is held."""
    said = []
    for row in db.rows("watch_jobs", since=now - RECENT, names=list(UNATTENDED)):
        reason = row["reason"] or "No reason is known."
        if row["what"] == "job":
            subject, next_step = (
                "A job failed for good",
                "The Data page shows it under Runs, with a button to try again.",
            )
            what = f"{row['name']} of {row['source']}" if row["source"] else row["name"]
            sentence = f"The job {what} failed and is not tried again: {reason}"
        else:
            subject, next_step = (
                "A load is held",
                "Look at it on the Data page: a file is accepted under Upload, a folder by 'load FOLDER --accept'.",
            )
            sentence = f"Rows for {row['name']} look wrong as a whole and were not taken: {reason}"
        if alerts.notice(db, settings, _key(row), subject, [sentence, next_step]):
            said.append(sentence)
    return said


def _key(row: Mapping[str, Any]) -> str:
    """What makes a failure one: a slot may be used again, so its time counts; a held load comes again with every
    try, and is told once a day."""
    if row["what"] == "job":
        return f"watch|job|{row['id']}|{row['at'].isoformat()}"
    why = hashlib.sha256(f"{row['source']}|{row['reason']}".encode()).hexdigest()[:16]
    return f"watch|load|{row['name']}|{why}|{row['at'].astimezone(wording.zone()).date()}"
