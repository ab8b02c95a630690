"""Requests that are done once, however often they are sent: a key by the caller, kept for a day with its answer.

The rules are those of the IETF draft draft-ietf-httpapi-idempotency-key-header: the same key with the same request gets
the first answer, with another request 422, and while the first is still being done 409. A request that fails leaves its
key free.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trendcast.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from trendcast.store.engine import Database

LONGEST_KEY = 255


@dataclass(frozen=True)
class Answer:
    """An answer as it was given."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One use of a key. ``address`` is method and path, ``digest`` stands for all that was sent."""

    who: str
    address: str
    key: str
    digest: str

    @classmethod
    def of(cls, who: str, address: str, key: str, *parts: bytes) -> Request:
        """Raises InvalidInput for a key that is none."""
        if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
            raise InvalidInput(f"An Idempotency-Key has 1 to {LONGEST_KEY} printable characters, for example a UUID.")
        digest = hashlib.sha256()
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return cls(who, address, key, digest.hexdigest())

    @property
    def _names(self) -> dict[str, Any]:
        return {"who": self.who, "address": self.address, "key": self.key}

    def begin(self, db: Database) -> Answer | None:
        """Take the key; the first answer when this request was done before. Raises InvalidInput when the key was used
        for another request, Conflict while this one is being done."""
        with db.transaction() as connection:
            db.execute("idempotency_forget", connection=connection)
            if db.rows("idempotency_begin", connection=connection, request=self.digest, **self._names):
                return None
            known = db.rows("idempotency_read", connection=connection, request=self.digest, **self._names)
        if known and not known[0]["same"]:
            raise InvalidInput("This Idempotency-Key came with another request before: each request needs its own.")
        if not known or known[0]["status"] is None:
            raise Conflict("A request with this Idempotency-Key is being done: ask again in a moment.")
        return Answer(known[0]["status"], bytes(known[0]["answer"]), known[0]["headers"])

    def end(self, db: Database, answer: Answer) -> None:
        """Keep the answer for those who ask again."""
        headers, body = dict(answer.headers), answer.body.hex()
        db.execute("idempotency_end", status=answer.status, headers=headers, answer=body, **self._names)

    def drop(self, db: Database) -> None:
        """It failed: the key is free."""
        db.execute("idempotency_drop", **self._names)
