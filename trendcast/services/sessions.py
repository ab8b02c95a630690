"""Sessions of signed-in people: begun by a sign-in, over after eight hours or when somebody ends them.

The browser holds the session's id in a signed cookie; whether it still holds is in the table person_session, so that a
session that is ended is over in every tab and on every replica. Each process asks the table at most once a minute per
session; in the process that ended it, it is over at once.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from trendcast.errors import DatabaseAway
from trendcast.services.people import Person

if TYPE_CHECKING:
    from trendcast.store.engine import Database

LONGEST = timedelta(hours=8)
REMEMBERED = 60.0  # seconds
MOST = 10_000


@dataclass(frozen=True)
class Session:
    """A session that holds: its id, who it is, until when."""

    id: str
    person: Person
    expires_at: datetime


def begin(db: Database, now: datetime, person: Person, subject: str) -> Session:
    """A new session; ``subject`` is who the provider says it is, for the audit."""
    made = Session(str(uuid.uuid4()), person, now + LONGEST)
    with db.transaction() as connection:
        db.execute(
            "session_begin",
            connection=connection,
            id=made.id,
            person=person.name,
            role=person.role,
            now=now,
            expires=made.expires_at,
        )
        noted = {"role": person.role, "subject": subject[:300]}
        _audit(db, connection, person.name, "signed in", made.id, noted)
    return made


def find(db: Database, now: datetime, session_id: str) -> Session | None:
    """The session of this id; None for one that is unknown, over or ended."""
    try:
        uuid.UUID(session_id)
    except ValueError:
        return None
    with db.transaction() as connection:
        rows = db.rows("session_find", connection=connection, id=session_id, now=now)
    if not rows:
        return None
    return Session(session_id, Person(rows[0]["person"], rows[0]["role"]), rows[0]["expires_at"])


def end(db: Database, now: datetime, session_id: str) -> str | None:
    """End one session: the person has signed out. Returns who; None when it was over already."""
    with db.transaction() as connection:
        rows = db.rows("session_end", connection=connection, id=session_id, now=now)
        if rows:
            _audit(db, connection, rows[0]["person"], "signed out", session_id, {})
    watch.forget(session_id)
    return rows[0]["person"] if rows else None


def end_all(db: Database, now: datetime, person: str, who: str) -> int:
    """End every session of a person, as an administrator does when somebody leaves; returns how many there were."""
    with db.transaction() as connection:
        rows = db.rows("session_end_person", connection=connection, person=person, now=now)
        for row in rows:
            _audit(db, connection, who, "session ended", str(row["id"]), {"person": person})
    for row in rows:
        watch.forget(str(row["id"]))
    return len(rows)


def listed(db: Database, now: datetime) -> list[dict[str, Any]]:
    """The sessions that hold, newest first: person, role, address, started_at, seen_at, expires_at; never the id."""
    return [dict(row) for row in db.rows("session_list", now=now)]


def refused(db: Database, name: str, why: str) -> None:
    """Note that somebody the provider knows was not let in."""
    with db.transaction() as connection:
        _audit(db, connection, name, "sign-in refused", "", {"why": why})


class Watch:
    """What this process knows of sessions, at most REMEMBERED seconds old.

    While the database is away nobody can end a session either: one that held when it was last asked about holds on,
    up to its own end.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, Session | None]] = OrderedDict()

    def known(self, session_id: str, now: datetime) -> tuple[bool, Session | None]:
        """(whether it is known, the session or None when it is over) without asking the database."""
        with self._lock:
            asked, session = self._known.get(session_id, (float("-inf"), None))
        fresh = self._now() - asked < REMEMBERED
        return fresh, session if session and session.expires_at > now else None

    def find(self, database: Callable[[], Database], now: datetime, session_id: str) -> Session | None:
        """The session of this id, None when it is over. DatabaseAway when that cannot be known."""
        fresh, session = self.known(session_id, now)
        if fresh:
            return session
        since = self._now()
        try:
            found = find(database(), now, session_id)
        except DatabaseAway:
            if session is None:
                raise
            return session
        with self._lock:
            asked, meanwhile = self._known.get(session_id, (float("-inf"), found))
            if meanwhile is None and asked >= since:  # ended while the database was asked
                return None
            self._known[session_id] = (self._now(), found)
            self._known.move_to_end(session_id)
            while len(self._known) > MOST:
                self._known.popitem(last=False)
        return found

    def forget(self, session_id: str) -> None:
        """This one is over, as far as this process is concerned."""
        with self._lock:
            self._known[session_id] = (self._now(), None)

    def clear(self) -> None:
        with self._lock:
            self._known.clear()


watch = Watch()


def _audit(db: Database, connection: Any, who: str, action: str, session_id: str, after: dict[str, Any]) -> None:
    # The id is what the cookie proves: a part of it is enough to tell sessions apart.
    db.execute(
        "audit_add", connection=connection, actor=who, action=action, object=f"session:{session_id[:8]}", after=after
    )
