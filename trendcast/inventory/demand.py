"""Samples of demand over any interval ahead, from the point forecast and from what past forecasts were wrong by.

A sample is a path: the point forecast times a block of multi-step ratios (truth over forecast) of one past origin, so
that errors hang together as they did then. Quantiles of days are never added: 95 % quantiles of 14 independent
Poisson(20) days add up to 392, while the 95 % quantile of their sum is 308. A third of the paths of a category with a
full history come from its own origins, the rest from all categories', scaled to its own errors (shrinkage to the pool).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAMPLES = 1000
FEWEST_KNOWN = 28  # days of an origin's block that must be known
SCALE_DAYS = 14  # errors are compared on sums of so many days
LEAST_SCALE, MOST_SCALE = 0.02, 3.0
POOL = 400  # blocks of the pool that are kept
SHRINKAGE = 26.0  # own origins that weigh as much as the pool
MEAN_FLOOR = 0.2  # of a block's mean forecast: below it a day's ratio would be noise
UNKNOWN_SCALE = 0.35  # of a retailer too new to have been wrong


@dataclass(frozen=True)
class Library:
    """Ratios of truth over forecast of past origins, per category.

    ratios (O, C, D): NaN from where nothing is known, whole block NaN when too short. weights (O,): of an origin.
    scale (C,): size of a category's errors over SCALE_DAYS days. pool (K, D): blocks of all categories, standardised;
    pool_weight (K,). known (O, C): days of each block that really were known.
    """

    ratios: np.ndarray
    known: np.ndarray
    weights: np.ndarray
    scale: np.ndarray
    pool: np.ndarray
    pool_weight: np.ndarray

    @property
    def measured(self) -> bool:
        return len(self.pool) > 0


def ratios(truth: np.ndarray, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth over forecast (O, C, D) day by day, and how many days of each block were known (O, C). ``truth`` NaN where
    not known; a closed day within what is known must be given as 0. A block's unknown end repeats its last 28 known
    days; blocks with fewer known are NaN."""
    origins, count, days = truth.shape
    floor = MEAN_FLOOR * np.maximum(means.mean(axis=2, keepdims=True), 1e-12)
    found = np.where(np.isfinite(truth), truth, np.nan) / np.maximum(means, floor)
    resting = (means <= 0) & (np.nan_to_num(truth) <= 0)
    found = np.where(resting & np.isfinite(truth), 1.0, found)
    length = np.zeros((origins, count), int)
    for o in range(origins):
        for c in range(count):
            block = found[o, c]
            known = np.isfinite(block)
            length[o, c] = last = days - int(known[::-1].argmax()) if known.any() else 0
            if known.sum() < FEWEST_KNOWN or means[o, c].sum() <= 0:
                block[:] = np.nan
                continue
            inside = block[:last]
            inside[~np.isfinite(inside)] = 1.0  # a lost feed within the block says nothing
            if last < days:
                tail = block[last - FEWEST_KNOWN : last]
                block[last:] = np.resize(tail, days - last)
    return found, length


def library(truth: np.ndarray, means: np.ndarray, weights: np.ndarray, seed: int = 0) -> Library:
    """What ``truth`` (O, C, D; see ratios) teaches of forecasts ``means`` (O, C, D), origins weighted (O,)."""
    origins, count, days = truth.shape
    found, length = ratios(truth, means)
    known = np.isfinite(found[:, :, 0]) if days else np.zeros((origins, count), bool)
    error = _window_ratio(np.nan_to_num(found, nan=1.0), means, 0, min(SCALE_DAYS, days)) - 1
    mass = np.where(known, weights[:, None], 0.0)
    squares = (mass * error**2).sum(axis=0)
    total = mass.sum(axis=0)
    everywhere = np.sqrt(squares.sum() / total.sum()) if total.sum() > 0 else UNKNOWN_SCALE
    # A few origins say little about one category: its scale is drawn to what is usual.
    scale = np.sqrt((squares + 3 * everywhere**2) / (total + 3))
    scale = np.clip(scale, LEAST_SCALE, MOST_SCALE)
    where = np.argwhere(known)
    if len(where) > POOL:
        where = where[np.sort(np.random.default_rng(seed).choice(len(where), POOL, replace=False))]
    at, of = where[:, 0], where[:, 1]
    pool = (found[at, of] - 1) / scale[of, None] if len(where) else np.empty((0, days))
    return Library(found, length, weights, scale, pool.astype(np.float32), weights[at])


def _window_ratio(found: np.ndarray, means: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Truth over forecast of a sum of days (O, C); 1 where nothing was forecast."""
    said = means[:, :, start:stop].sum(axis=2)
    truth = (found[:, :, start:stop] * means[:, :, start:stop]).sum(axis=2)
    return np.divide(truth, said, out=np.ones_like(said), where=said > 0)


def paths(
    mean: np.ndarray,
    own: np.ndarray,
    own_weight: np.ndarray,
    pool: np.ndarray,
    pool_weight: np.ndarray,
    scale: float,
    seed: int,
    *,
    days: int | None = None,
    count: int = SAMPLES,
) -> np.ndarray:
    """Sampled daily demand (count, days), float32, of one category with point forecast ``mean`` (D,).

    own (O, D): its ratios; pool (K, D): standardised ones of all; the same seed draws the same paths. Beyond D days the
    last four weeks are repeated.
    """
    rng = np.random.default_rng(seed)
    days = len(mean) if days is None else days
    picks = rng.random((2, count))
    usable = np.flatnonzero(np.isfinite(own[:, 0])) if len(own) else np.empty(0, int)
    share = len(usable) / (len(usable) + SHRINKAGE) if len(pool) else float(len(usable) > 0)
    from_own = picks[0] < share
    factor = np.ones((count, len(mean)), np.float32)
    if len(usable):
        chosen = usable[_pick(own_weight[usable], picks[1][from_own])]
        factor[from_own] = own[chosen]
    if len(pool):
        chosen = _pick(pool_weight, picks[1][~from_own])
        factor[~from_own] = np.maximum(1 + scale * pool[chosen], 0.0)
    if not len(usable) and not len(pool):
        # Nothing to learn from: a level that may be off, and days that scatter around it.
        noise = rng.standard_normal((count, 1 + len(mean))) * scale
        factor = np.exp(noise[:, :1] + noise[:, 1:] - scale**2).astype(np.float32)
    drawn = factor * mean[None, :].astype(np.float32)
    if days <= len(mean):
        return drawn[:, :days]
    tail = drawn[:, -min(28, len(mean)) :]
    repeats = -(-(days - len(mean)) // tail.shape[1])
    return np.concatenate([drawn, np.tile(tail, (1, repeats))], axis=1)[:, :days]


def _pick(weights: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Positions drawn with probabilities ``weights`` by uniform numbers ``at``."""
    edges = np.cumsum(weights) / weights.sum()
    return np.minimum(np.searchsorted(edges, at, side="right"), len(weights) - 1)


def draw_lead_times(observed: np.ndarray, factor: float, seed: int, count: int = SAMPLES) -> np.ndarray:
    """Whole days (count,) drawn from the empirical distribution of ``observed`` lead times, times a factor."""
    rng = np.random.default_rng([seed, 1])
    drawn = np.sort(np.asarray(observed, float))[rng.integers(0, len(observed), count)]
    return np.maximum(np.rint(drawn * factor), 0).astype(int)


def over(cumulative: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Demand (M,) of the first ``days`` (M,) days of each path; ``cumulative`` (M, D) are running sums."""
    last = np.clip(days, 0, cumulative.shape[1]) - 1
    return np.asarray(np.where(last >= 0, cumulative[np.arange(len(cumulative)), np.maximum(last, 0)], 0.0))


def quantile(samples: np.ndarray, level: float) -> float:
    """The smallest sample S with F(S) >= level, along the last axis flattened."""
    ordered = np.sort(samples, axis=None)
    return float(ordered[min(max(int(np.ceil(level * len(ordered) - 1e-9)) - 1, 0), len(ordered) - 1)])


def past_ranks(found: Library, means: np.ndarray, days: np.ndarray, seed: int = 0) -> np.ndarray:
    """Where past demand lay among the samples that origins other than its own would have given: ranks in 0..1 (W, C),
    NaN where not known. Each of W = origins x 4 windows of ``days`` (C,) days begins a week after the one before; at
    most the target share of them should lie above the target service."""
    origins, count, horizon = found.ratios.shape
    starts = [s for s in (0, 7, 14, 21) if horizon and s < horizon]
    result = np.full((origins * len(starts), count), np.nan)
    if origins < 3 or not found.measured:
        return result
    known = np.isfinite(found.ratios[:, :, 0])
    filled = np.nan_to_num(found.ratios, nan=1.0)
    running = np.concatenate([np.zeros((origins, count, 1)), np.cumsum(filled * means, axis=2)], axis=2)
    said = np.concatenate([np.zeros((origins, count, 1)), np.cumsum(means, axis=2)], axis=2)
    rng = np.random.default_rng(seed)
    sample = rng.permutation(count)[: max(1, -(-200 // max(origins, 1)))]
    category = np.arange(count)
    for w, start in enumerate(starts):
        stop = np.minimum(start + days, horizon)
        complete = known & (found.known >= stop)
        truth = running[:, category, stop] - running[:, category, np.full(count, start)]
        expected = said[:, category, stop] - said[:, category, np.full(count, start)]
        ratio = np.divide(truth, expected, out=np.ones_like(truth), where=expected > 0)
        error = (ratio - 1) / found.scale
        for o in range(origins):
            rest = np.arange(origins) != o
            own, own_known = ratio[rest], complete[rest]
            n = own_known.sum(axis=0)
            below_own = ((own <= ratio[o]) & own_known).sum(axis=0) / np.maximum(n, 1)
            pool = np.sort(error[np.ix_(rest, sample)][complete[np.ix_(rest, sample)]])
            below_pool = np.searchsorted(pool, error[o], side="right") / max(len(pool), 1)
            share = n / (n + SHRINKAGE)
            rank = share * below_own + (1 - share) * below_pool
            result[o * len(starts) + w] = np.where(complete[o] & (expected[o] > 0), rank, np.nan)
    return result
