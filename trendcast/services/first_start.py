"""The first start: an empty embedded database is filled with the demo retailer, so that the first page shows
something."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trendcast.settings import Settings

if TYPE_CHECKING:
    from trendcast.store.engine import Database

# One slot per database, however many processes start at once: the same name and time is the same slot.
ONCE = datetime(2000, 1, 1, tzinfo=UTC)


def prepare(db: Database, settings: Settings) -> int | None:
    """Ask for the demo retailer when it is wanted and the embedded database holds nothing; returns the job's slot. With
    a database of one's own (DATABASE_URL) nothing is ever made up."""
    from trendcast.services import jobs

    if settings.demo != "auto" or not db.embedded:
        return None
    loaded = db.rows("load_sources")[0]
    if loaded["demo"] or loaded["own"]:
        return None
    return jobs.enqueue(db, "demo", {}, scheduled_for=ONCE)
