"""Job slots and leases: who may work on what, decided by rows and the database's clock alone.

A slot goes queued -> running -> done, back to queued after a failure that may pass, and to dead after three attempts.
Whoever claims it gets a token; every later write names the token and changes nothing once somebody else took over.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import Connection

from trendcast.errors import LeaseLost, NotFound
from trendcast.store import locks
from trendcast.store.engine import Database

log = logging.getLogger("trendcast.store.jobs")

HEARTBEAT = 30.0  # seconds between renewals of a lease of 90


@dataclass(frozen=True)
class Claim:
    """A slot that is ours for now."""

    id: int
    name: str
    arguments: Mapping[str, Any]
    attempts: int
    token: str
    scheduled_for: datetime


def enqueue(
    db: Database,
    connection: Connection,
    name: str,
    arguments: Mapping[str, Any],
    scheduled_for: datetime | None = None,
) -> int:
    """The slot's id. The same name and time twice is one slot; a new slot of a schedule skips those that still wait."""
    made = db.rows(
        "job_enqueue", connection=connection, name=name, arguments=dict(arguments), scheduled_for=scheduled_for
    )
    if not made:
        # A statement of its own: the one before does not see a row that was committed while it ran.
        return int(db.rows("job_find", connection=connection, name=name, scheduled_for=scheduled_for)[0]["id"])
    slot_id = int(made[0]["id"])
    if scheduled_for is not None:
        db.execute("job_skip_older", connection=connection, id=slot_id)
    return slot_id


def claim(
    db: Database,
    *,
    slot_id: int | None = None,
    names: Sequence[str] | None = None,
    alone: Sequence[str] = (),
    connection: Connection | None = None,
) -> Claim | None:
    """Take the next due slot, of these names or this one; None when there is nothing to take."""
    if connection is None:
        with db.transaction() as own:
            return claim(db, slot_id=slot_id, names=names, alone=alone, connection=own)
    wanted = None if names is None else list(names)
    if alone:
        # Two transactions would each see no other slot at work: they decide one after the other.
        db.rows("lock_take", connection=connection, number=locks.CLAIM)
    rows = db.rows("job_claim", connection=connection, id=slot_id, names=wanted, alone=list(alone))
    return Claim(**rows[0]) if rows else None


def renew(db: Database, slot_id: int, token: str) -> None:
    """The heartbeat. Raises LeaseLost when somebody else took over."""
    _fenced(db.execute("job_renew", id=slot_id, token=token))


def write_progress(db: Database, slot_id: int, token: str, progress: Mapping[str, Any]) -> None:
    _fenced(db.execute("job_progress", id=slot_id, token=token, progress=dict(progress)))


def assert_token(db: Database, connection: Connection, token: str) -> None:
    """To be called in the transaction that publishes: raises LeaseLost when the slot of this token is no longer ours,
    and keeps it ours until the transaction ends."""
    _fenced(len(db.rows("job_assert_token", connection=connection, token=token)))


def finish(db: Database, slot_id: int, token: str, result: Mapping[str, Any]) -> None:
    _fenced(db.execute("job_finish", id=slot_id, token=token, result=dict(result)))


def finish_with(db: Database, connection: Connection, token: str, result: Mapping[str, Any]) -> None:
    """End the slot of this token in the transaction of what its work wrote: both or neither. Raises LeaseLost."""
    held = db.rows("job_assert_token", connection=connection, token=token)
    _fenced(len(held))
    db.execute("job_finish", connection=connection, id=held[0]["id"], token=token, result=dict(result))


def fail(db: Database, slot_id: int, token: str, error: str, *, again: bool) -> str:
    """End an attempt; ``again`` says whether a repeat may help. Returns the state: queued or dead."""
    with db.transaction() as connection:
        rows = db.rows("job_fail", connection=connection, id=slot_id, token=token, error=error[:2000], again=again)
    _fenced(len(rows))
    return str(rows[0]["state"])


def give_back(db: Database, slot_id: int, token: str) -> None:
    """Put a slot back into the queue without counting the attempt."""
    _fenced(db.execute("job_give_back", id=slot_id, token=token))


def withdraw(db: Database, slot_id: int) -> None:
    """Let a slot that still waits end unworked."""
    db.execute("job_withdraw", id=slot_id)


def bury(db: Database) -> list[Mapping[str, Any]]:
    """Declare dead what was lost in its third attempt, and return those slots."""
    with db.transaction() as connection:
        return db.rows("job_bury", connection=connection)


def slots(db: Database, limit: int = 50, name: str = "") -> pd.DataFrame:
    return db.frame("job_slots", limit=limit, name=name)


def slot(db: Database, slot_id: int) -> dict[str, Any]:
    rows = db.rows("job_slot", id=slot_id)
    if not rows:
        raise NotFound(f"There is no job slot {slot_id}.")
    return dict(rows[0])


def reuse(db: Database, connection: Connection, name: str, arguments: Mapping[str, Any]) -> int | None:
    """The slot of this name and these arguments that waits, now due; None when none waits."""
    db.rows("lock_take", connection=connection, number=locks.CLAIM)  # two that ask at once must not both find none
    rows = db.rows("job_reuse", connection=connection, name=name, arguments=dict(arguments))
    return int(rows[0]["id"]) if rows else None


def refresh_need(db: Database, due: datetime) -> Mapping[str, Any]:
    """What decides whether a refresh is due at ``due`` (see sql/job_refresh_need.sql)."""
    return db.rows("job_refresh_need", due=due)[0]


def take_lease(db: Database, name: str, holder: str, *, token: str | None = None, seconds: float = 90) -> str | None:
    """The token of the lease, taken or renewed; None while somebody else holds it."""
    with db.transaction() as connection:
        rows = db.rows(
            "lease_take",
            connection=connection,
            name=name,
            holder=holder,
            token=token or str(uuid.uuid4()),
            seconds=seconds,
        )
    return str(rows[0]["token"]) if rows else None


def release_lease(db: Database, name: str, token: str) -> None:
    db.execute("lease_release", name=name, token=token)


def _fenced(touched: int) -> None:
    if touched != 1:
        raise LeaseLost("Another worker took this job over; what was computed here is dropped.")
