"""What was asked of this process and is done by a worker: wait a little for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from trendcast.services import jobs

if TYPE_CHECKING:
    from trendcast.store.engine import Database

POLL = 0.2
PATIENCE = 20.0  # seconds a caller waits for an answer before it gets an address to ask at
ENDED = ("done", "dead", "skipped")


def settled(db: Database, slot_id: int, seconds: float = PATIENCE) -> dict[str, Any]:
    """The slot once it has ended, or as it is after ``seconds``. Raises NotFound."""
    until = time.monotonic() + seconds
    while True:
        slot = jobs.slot(db, slot_id)
        if slot["state"] in ENDED or time.monotonic() >= until:
            return slot
        time.sleep(POLL)
