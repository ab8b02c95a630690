"""A bounded memory of answers, whose keys carry the run id: a run never changes, so nothing has to be invalidated. And
what many ask for at once, which is found out once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from trendcast.errors import TrendCastError

T = TypeVar("T")


class Memory(Generic[T]):
    """The ``size`` most recently used values, of those that are ``worth`` it. Thread-safe; two threads may both make a
    missing value, which is harmless."""

    def __init__(self, size: int, worth: Callable[[T], bool] = lambda _: True) -> None:
        self._size = size
        self._worth = worth
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        if not self._worth(value):
            return value
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._size:
                self._values.popitem(last=False)
        return value

    def clear(self) -> None:
        with self._lock:
            self._values.clear()


class Together(Generic[T]):
    """What several ask for at once is found out once: who comes while one asks waits for the same answer, or error.
    Nothing is remembered. For one event loop."""

    def __init__(self) -> None:
        self._asked: dict[Hashable, asyncio.Task[T]] = {}

    def asking(self, key: Hashable) -> bool:
        """Whether somebody is finding it out."""
        task = self._asked.get(key)
        return task is not None and task.get_loop() is asyncio.get_running_loop()

    async def get(self, key: Hashable, find: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if not self.asking(key):
            made = self._asked[key] = asyncio.create_task(find())
            made.add_done_callback(lambda task: self._asked.pop(key) if self._asked.get(key) is task else None)
        # One who goes away does not take the answer from the others.
        return await asyncio.shield(self._asked[key])


class Lately(Generic[T]):
    """What ``find`` found out, or the error it met, for ``seconds`` from when it was asked; who comes meanwhile gets
    the same. For one event loop."""

    def __init__(
        self, seconds: float, find: Callable[[], Coroutine[Any, Any, T]], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._find, self._now = seconds, find, now
        self._together: Together[T] = Together()
        self._found: tuple[float, T | None, TrendCastError | None] | None = None

    async def get(self) -> T:
        if self._found is None or self._now() - self._found[0] >= self._seconds:
            return await self._together.get(None, self._ask)
        _, value, error = self._found
        if error is not None:
            raise error
        return value  # type: ignore[return-value]

    async def _ask(self) -> T:
        since = self._now()
        try:
            value = await self._find()
        except TrendCastError as error:
            self._found = since, None, error
            raise
        self._found = since, value, None
        return value

    def clear(self) -> None:
        self._found = None
