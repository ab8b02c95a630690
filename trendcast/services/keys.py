"""Keys of the REST service: shown once, kept as a hash, with a scope and an end."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from trendcast.errors import Conflict, InvalidInput, NotFound
from trendcast.services.people import Person

if TYPE_CHECKING:
    from trendcast.store.engine import Database

PREFIX = "tc_"
ROLE_OF = {"read": "viewer", "write": "planner", "admin": "admin"}
LONGEST_DAYS = 730


def create(db: Database, now: datetime, name: str, scope: str, days: int, who: str) -> str:
    """A new key; the text returned is the only copy there will ever be. Raises InvalidInput and Conflict."""
    name = name.strip()
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise InvalidInput("A key needs a name of 1 to 100 characters: who or what will use it.")
    if scope not in ROLE_OF:
        raise InvalidInput(f"'{scope}' is not a scope: it is one of {', '.join(ROLE_OF)}.")
    if not 1 <= days <= LONGEST_DAYS:
        raise InvalidInput(f"A key lasts 1 to {LONGEST_DAYS} days.")
    key = PREFIX + secrets.token_urlsafe(32)
    with db.transaction() as connection:
        made = db.rows(
            "key_create",
            connection=connection,
            name=name,
            hash=_hash(key),
            scopes=[scope],
            who=who,
            now=now,
            expires=now + timedelta(days=days),
        )
        if not made:
            raise Conflict(f"There is a valid key called '{name}' already: revoke it, or choose another name.")
        _audit(db, connection, who, "key created", name, {"scope": scope, "days": days})
    return key


def find(db: Database, key: str, now: datetime) -> Person | None:
    """Whose key this is; None for one that is unknown, over or revoked. Its last use is noted once a minute."""
    if not key.startswith(PREFIX) or len(key) > 100:
        return None
    with db.transaction() as connection:
        rows = db.rows("key_find", connection=connection, hash=_hash(key), now=now)
    if not rows:
        return None
    roles = {ROLE_OF[scope] for scope in rows[0]["scopes"]}
    role = next(name for name in ("admin", "planner", "viewer") if name in roles)
    return Person(f"key:{rows[0]['name']}", role)


def revoke(db: Database, now: datetime, name: str, who: str) -> None:
    """End a key at once; NotFound when there is no valid one of this name."""
    with db.transaction() as connection:
        if not db.rows("key_revoke", connection=connection, name=name, now=now):
            raise NotFound(f"There is no valid key called '{name[:100]}'.")
        _audit(db, connection, who, "key revoked", name, {})


def listed(db: Database) -> list[dict[str, Any]]:
    """All keys, newest first: name, scopes, created_by, created_at, expires_at, last_used_at, revoked_at; never the key
    itself."""
    return [dict(row) for row in db.rows("key_list")]


def _hash(key: str) -> bytes:
    # 256 random bits need no salt and no slow hash.
    return hashlib.sha256(key.encode()).digest()


def _audit(db: Database, connection: Any, who: str, action: str, name: str, after: dict[str, Any]) -> None:
    db.execute("audit_add", connection=connection, actor=who, action=action, object=f"key:{name}", after=after)
