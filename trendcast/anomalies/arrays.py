"""Medians that pass over what is not known, quick enough to be taken over every series and day."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

BLOCK = 1_000  # series whose lags are in memory at once


def median(values: np.ndarray, least: int = 1) -> np.ndarray:
    """The median over the last axis of what is not NaN; NaN where fewer than ``least`` are known."""
    if values.shape[-1] == 0:  # the first day of a history has nothing before it
        return np.full(values.shape[:-1], np.nan)
    ordered = np.sort(values, axis=-1)  # NaN goes to the end
    count = values.shape[-1] - np.isnan(ordered).sum(axis=-1)
    below = np.maximum(count - 1, 0) // 2
    above = np.minimum(count // 2, values.shape[-1] - 1)
    pair = np.take_along_axis(ordered, np.stack([below, above], axis=-1), axis=-1)
    return np.where(count >= least, pair.mean(axis=-1), np.nan)


def quantile(values: np.ndarray, share: float, least: int = 1) -> np.ndarray:
    """A quantile over the last axis of what is not NaN, between its neighbours; NaN where fewer than ``least`` are
    known."""
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    ordered = np.sort(values, axis=-1)
    count = values.shape[-1] - np.isnan(ordered).sum(axis=-1)
    place = share * np.maximum(count - 1, 0)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, np.maximum(count - 1, 0))
    pair = np.take_along_axis(ordered, np.stack([below, above], axis=-1), axis=-1)
    return np.where(count >= least, pair[..., 0] + (place - below) * (pair[..., 1] - pair[..., 0]), np.nan)


def lagged_median(values: np.ndarray, lags: tuple[int, ...], least: int) -> np.ndarray:
    """Per series and day the median of the values so many days before: (S, T); days before the first are not known."""
    result = np.full(values.shape, np.nan)
    days = values.shape[1]

    def one(start: int) -> None:
        block = values[start : start + BLOCK]
        stack = np.full((*block.shape, len(lags)), np.nan)
        for place, lag in enumerate(lags):
            if lag < days:
                stack[:, lag:, place] = block[:, : days - lag]
        result[start : start + BLOCK] = median(stack, least)

    starts = range(0, len(values), BLOCK)
    if len(starts) > 1:  # sorting leaves the interpreter to others
        with ThreadPoolExecutor(min(len(starts), os.cpu_count() or 1)) as pool:
            list(pool.map(one, starts))
    else:
        for start in starts:
            one(start)
    return result


def agreed(values: np.ndarray) -> np.ndarray:
    """What more than half of those on the last axis agree on: the value nearest to zero between the 45th and the 55th
    of a hundred, zero where these differ in sign or fewer than three are known.

    A plain median of two groups, one of which fell, lies between them and would call the other one risen.
    """
    ordered = np.sort(values, axis=-1)
    count = values.shape[-1] - np.isnan(ordered).sum(axis=-1)
    low = np.floor(0.45 * np.maximum(count - 1, 0)).astype(int)
    high = np.ceil(0.55 * np.maximum(count - 1, 0)).astype(int)
    pair = np.take_along_axis(ordered, np.stack([low, high], axis=-1), axis=-1)
    low_value, high_value = pair[..., 0], pair[..., 1]
    common = np.where(low_value > 0, low_value, np.where(high_value < 0, high_value, 0.0))
    return np.where(count >= 3, common, 0.0)
