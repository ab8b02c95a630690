"""What went wrong inside TrendCast and waits for a person: told once by mail, whoever looks at the pages or not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from trendcast import wording
from trendcast.services import alerts
from trendcast.settings import Settings

if TYPE_CHECKING:
    from trendcast.store.engine import Database

# Jobs that nobody waits for: of the others whoever asked sees the failure.
UNATTENDED = ("refresh", "detect", "digest", "sync", "push")
RECENT = timedelta(days=1)


def watch(db: Database, settings: Settings, now: datetime) -> list[str]:
    """Write a notice of each job that failed for good, and of each load that is held; returns the sentences. Called by
    the ticker again and again: each is told once."""
    said = []
    for row in db.rows("watch_jobs", since=now - RECENT, names=list(UNATTENDED)):
        reason = row["reason"] or "No reason is known."
        if row["what"] == "job":
            subject, next_step = (
                "A job failed for good",
                "The Data page shows it under Runs, with a button to try again.",
            )
            sentence = f"The job {row['name']} failed and is not tried again: {reason}"
        else:
            subject, next_step = "A load is held", "Look at it on the Data page; 'load FOLDER --accept' takes it."
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
