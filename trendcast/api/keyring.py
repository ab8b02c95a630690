"""What this process knows of keys, so that neither who asks often nor who makes keys up costs the database much."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from trendcast.api.cache import Together
from trendcast.services.people import Person


class Keyring:
    """``await keyring.owner(key)``: whose key it is, None for nobody's.

    A good key is remembered for SECONDS, which is how long a revoked one may still work here; made-up ones are not
    remembered and drive out none that are good. Keys are held by their hash.
    """

    SECONDS = 30.0
    MOST = 1000

    def __init__(
        self,
        find: Callable[[str], Coroutine[Any, Any, Person | None]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find
        self._now = now
        self._good: OrderedDict[bytes, tuple[float, Person]] = OrderedDict()
        self._together: Together[Person | None] = Together()

    def costs_nothing(self, key: str) -> bool:
        """Whether asking for it is no guess: it was good when it was last asked about, or is being asked about now."""
        mark = _mark(key)
        return mark in self._good or self._together.asking(mark)

    async def owner(self, key: str) -> Person | None:
        """Raises what the search raises, DatabaseAway above all."""
        mark = _mark(key)
        since, person = self._good.get(mark, (float("-inf"), None))
        if self._now() - since < self.SECONDS:
            return person
        return await self._together.get(mark, lambda: self._ask(key, mark))

    async def _ask(self, key: str, mark: bytes) -> Person | None:
        since = self._now()
        person = await self._find(key)
        self._good.pop(mark, None)
        if person is not None:
            self._good[mark] = since, person
            while len(self._good) > self.MOST:
                self._good.popitem(last=False)
        return person

    def clear(self) -> None:
        self._good.clear()


def _mark(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
