"""Medians that pass over what is not known, quick enough to be taken over every series and day."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import numpy as np

BLOCK = 20_000  # values of one lag that are put in order at once: all lags of them stay in the processor's memory
MANY = 200_000  # values, from which several processors are quicker than one
FEW = 16  # arrays, up to which they are put in order by comparing whole arrays

T = TypeVar("T")


class Ordered:
    """The values of several arrays in order, at each place what is known first: from it medians and quantiles are read.

    ``count``: how many are known at each place. What is read has the shape of one array.
    """

    def __init__(self, values: Sequence[np.ndarray] | np.ndarray) -> None:
        """``values``: (K, ...), NaN is not known."""
        self._all = len(values)
        self._arrays: list[np.ndarray] = []
        if self._all <= FEW:
            self.count = np.full(np.shape(values[0]), self._all, np.int8)
            for one in values:
                self.count -= np.isnan(one)
            self._arrays = _compared([np.asarray(np.fmin(one, np.inf)) for one in values])
        else:
            self._table = np.array(_last(np.asarray(values)), order="C")
            self._table.sort(axis=-1)  # NaN goes to the end
            self.count = self._all - np.isnan(self._table).sum(axis=-1)
        self._holes = (self.count < self._all).ravel().nonzero()[0]

    def median(self, least: int = 1) -> np.ndarray:
        """NaN where fewer than ``least`` are known."""
        below = self._at(lambda count: np.maximum(count - 1, 0) // 2)
        above = self._at(lambda count: np.minimum(count // 2, self._all - 1))
        return np.where(self.count >= least, (below + above) / 2, np.nan)

    def quantile(self, share: float, least: int = 1) -> np.ndarray:
        """Between its neighbours; NaN where fewer than ``least`` are known."""
        place = share * np.maximum(self.count - 1, 0)
        part = place - np.floor(place)
        below = self._at(lambda count: np.floor(share * np.maximum(count - 1, 0)).astype(int))
        above = self._at(
            lambda count: np.minimum(
                np.floor(share * np.maximum(count - 1, 0)).astype(int) + 1, np.maximum(count - 1, 0)
            )
        )
        known = self.count >= least
        return np.where(known, below + part * np.subtract(above, below, out=np.zeros(below.shape), where=known), np.nan)

    def agreed(self) -> np.ndarray:
        """What more than half of them agree on: the value nearest to zero between the 45th and the 55th of a hundred,
        zero where these differ in sign or fewer than three are known.

        A plain median of two groups, one of which fell, lies between them and would call the other one risen.
        """
        low = self._at(lambda count: np.floor(0.45 * np.maximum(count - 1, 0)).astype(int))
        high = self._at(lambda count: np.ceil(0.55 * np.maximum(count - 1, 0)).astype(int))
        common = np.where(low > 0, low, np.where(high < 0, high, 0.0))
        return np.where(self.count >= 3, common, 0.0)

    def _at(self, place: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """The values at a place in the order that depends on how many are known."""
        first = int(place(np.array(self._all)))
        whole = self._arrays[first] if self._arrays else self._table[..., first]
        if not len(self._holes):
            return whole
        result, at = np.array(whole, order="C"), place(self.count.ravel()[self._holes])
        if self._arrays:
            told = np.stack([one.ravel()[self._holes] for one in self._arrays])[at, np.arange(len(at))]
        else:
            told = self._table.reshape(-1, self._all)[self._holes, at]
        result.ravel()[self._holes] = told
        return result


def _compared(values: list[np.ndarray]) -> list[np.ndarray]:
    """Arrays without NaN in order at each place; the arrays themselves are used up."""
    spare = np.empty_like(values[0])
    for one, other in _comparisons(len(values)):
        np.minimum(values[one], values[other], out=spare)
        np.maximum(values[one], values[other], out=values[other])
        values[one], spare = spare, values[one]
    return values


@cache
def _comparisons(count: int) -> tuple[tuple[int, int], ...]:
    """The pairs that put so many in order, one after the other (Batcher 1968)."""

    def pairs() -> Iterator[tuple[int, int]]:
        part = 1
        while part < count:
            step = part
            while step:
                for begin in range(step % part, count - step, 2 * step):
                    for one in range(begin, begin + min(step, count - begin - step)):
                        if one // (2 * part) == (one + step) // (2 * part):
                            yield one, one + step
                step //= 2
            part *= 2

    return tuple(pairs())


def _first(values: np.ndarray) -> np.ndarray:
    """The last axis as the first one."""
    return values.transpose(-1, *range(values.ndim - 1))


def _last(values: np.ndarray) -> np.ndarray:
    """The first axis as the last one."""
    return values.transpose(*range(1, values.ndim), 0)


def median(values: np.ndarray, least: int = 1) -> np.ndarray:
    """The median over the last axis of what is not NaN; NaN where fewer than ``least`` are known."""
    if values.shape[-1] == 0:  # the first day of a history has nothing before it
        return np.full(values.shape[:-1], np.nan)
    return Ordered(_first(values)).median(least)


def quantile(values: np.ndarray, share: float, least: int = 1) -> np.ndarray:
    """A quantile over the last axis of what is not NaN, between its neighbours; NaN where fewer than ``least`` are
    known."""
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    return Ordered(_first(values)).quantile(share, least)


def lagged_median(values: np.ndarray, lags: tuple[int, ...], least: int) -> np.ndarray:
    """Per series and day the median of the values so many days before: (S, T); days before the first are not known."""
    result = np.full(values.shape, np.nan)
    days, longest = values.shape[1], max(lags)
    rows = max(1, BLOCK // max(days, 1))

    def one(start: int) -> None:
        block = values[start : start + rows]
        padded = np.full((len(block), longest + days), np.nan)
        padded[:, longest:] = block
        before = [padded[:, longest - lag : longest - lag + days] for lag in lags]
        result[start : start + rows] = Ordered(before).median(least)

    at_once(one, range(0, len(values), rows), values.size)
    return result


def at_once(work: Callable[[T], object], items: Iterable[T], values: int) -> None:
    """Do the ``work`` of all items, on all processors where there are enough ``values`` to be worth it: arrays leave
    the interpreter to others."""
    if values < MANY:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(work, items))
