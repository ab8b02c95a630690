"""Random numbers that a later end does not change: each name and each four weeks have a stream of their own.

A retailer drawn with one more day is the same retailer on all days before it; that is how "next day" appends.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

BLOCK = 28  # days drawn at once

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


class Streams:
    """The random numbers of one retailer; ``seed`` names it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed % 2**63

    def once(self, name: str) -> np.random.Generator:
        """The stream for what is drawn once and holds for all days."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def block(self, name: str, number: int) -> np.random.Generator:
        """The stream of block ``number`` (BLOCK steps from the first day)."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode()), number])

    def daily(self, name: str, rows: int, steps: int, draw: Draw, dtype: str = "float32") -> np.ndarray:
        """Array (rows, steps), steps being days or weeks from the first day: ``draw(generator, shape)`` per block."""
        out = np.empty((rows, steps), dtype=dtype)
        for start in range(0, steps, BLOCK):
            drawn = draw(self.block(name, start // BLOCK), (rows, BLOCK))
            out[:, start : start + BLOCK] = drawn[:, : steps - start]
        return out

    def normal(self, name: str, rows: int, steps: int, spread: float) -> np.ndarray:
        """Independent normal numbers with standard deviation ``spread``, array (rows, steps)."""
        return self.daily(name, rows, steps, lambda rng, shape: rng.normal(0.0, spread, shape))

    def wandering(self, name: str, rows: int, steps: int, spread: float, memory: float) -> np.ndarray:
        """First-order autoregression from 0 with ``memory`` (1: a random walk); ``spread`` of each day's shock."""
        return remembered(self.normal(name, rows, steps, spread), memory)


def remembered(shocks: np.ndarray, memory: float) -> np.ndarray:
    """state[t] = memory * state[t - 1] + shocks[t], along the last axis."""
    out = np.empty_like(shocks)
    state = np.zeros(shocks.shape[0], shocks.dtype)
    for t in range(shocks.shape[1]):
        state = memory * state + shocks[:, t]
        out[:, t] = state
    return out
