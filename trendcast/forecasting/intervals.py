"""Intervals from what the combination got wrong before: pooled, cell-wise conformal quantiles.

Residuals r = (log1p y - log1p m) / sigma_i of the rolling origins are pooled by cell (segment x horizon bucket); the
quantiles of a cell, with the (n + 1) correction, times the series' own sigma_i around the point, are its interval.
Weeks have their own residuals and cells: quantiles of days do not add up to quantiles of a week.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

LEVELS = np.array([0.025, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.975])
COLUMNS = ("q025", "q05", "q10", "q25", "q50", "q75", "q90", "q95", "q975")
DAY_BUCKETS = (7, 14, 28, 56)  # last day of each bucket, then the rest
WEEK_BUCKETS = (1, 2, 4, 8)
MINIMUM_SCORES = 500  # a smaller cell is pooled with the same horizon over all segments of its kind,
MINIMUM_WEEKS = 150  # of which there are seven times fewer
SIGMA_WEIGHT = 8.0  # own sigma counts n / (n + SIGMA_WEIGHT), n the number of origins it was seen at
UNMEASURED_SIGMA = 0.5  # with nothing measured: a factor of 2.7 either way at 95 %; pages say "not measured"


def buckets(horizon: int, ends: tuple[int, ...]) -> np.ndarray:
    """Bucket of each step 1..horizon, (horizon,) int."""
    return np.searchsorted(ends, np.arange(1, horizon + 1))


def column(level: float) -> str:
    """The name of a quantile's column: .025 is q025, .5 is q50."""
    digits = f"{level:.3f}"[2:]
    return "q" + (digits[:-1] if digits.endswith("0") else digits)


def corrected_quantiles(
    scores: np.ndarray,
    weights: np.ndarray | None = None,
    levels: np.ndarray = LEVELS,
    independent: float | None = None,
) -> np.ndarray:
    """Quantiles of ``scores``, each tail on its own with the (n + 1) correction: conservative when n is small.

    ``weights``: relative weight of each score, by default all equal. ``independent``: how many independent scores these
    are worth (see ``effective_number``), by default all of them.
    """
    order = scores.argsort()
    sorted_scores = scores[order]
    w = np.ones(len(scores)) if weights is None else weights[order]
    n = w.sum() ** 2 / (w**2).sum()  # what unequal weights leave of their number
    if independent is not None:
        n = max(1.0, n * independent / len(scores))
    position = (np.cumsum(w) - w / 2) / w.sum()
    upper = levels >= 0.5
    target = np.where(upper, np.minimum(levels * (n + 1) / n, 1.0), np.maximum(1 - (1 - levels) * (n + 1) / n, 0.0))
    target[levels == 0.5] = 0.5
    return np.interp(target, position, sorted_scores)


def effective_number(scores: np.ndarray, known: np.ndarray) -> float:
    """How many independent scores ``scores`` (O, ...) are worth where ``known``.

    Scores of one origin share its mistakes: the level it saw, the week it did not see coming. With the intra-class
    correlation r of the origins (one-way analysis of variance), n scores, m per origin, are worth n / (1 + (m - 1) r):
    84 days of one total at 13 origins are nearer to 30 scores than to 1,000.
    """
    count = known.reshape(len(known), -1).sum(axis=1).astype(float)
    used = count > 0
    origins, n = int(used.sum()), count.sum()
    if origins < 3 or n <= origins:
        return float(max(origins, 1))
    flat = np.where(known, scores, 0.0).reshape(len(known), -1)
    mean = flat.sum(axis=1)[used] / count[used]
    count = count[used]
    grand = (mean * count).sum() / n
    between = (count * (mean - grand) ** 2).sum() / (origins - 1)
    within = max(((flat**2).sum() - (count * mean**2).sum()) / (n - origins), 1e-12)
    each = (n - (count**2).sum() / n) / (origins - 1)
    correlation = np.clip((between - within) / (between + (each - 1) * within), 0.0, 1.0)
    return float(max(n / (1 + (each - 1) * correlation), origins))


@dataclass(frozen=True)
class Calibration:
    """What a run learnt of its errors: ``sigma`` (S,), ``table`` (segments, buckets, levels) normalised quantiles, and
    the bucket of each step. ``measured`` is False where nothing was there to learn from."""

    sigma: np.ndarray
    table: np.ndarray
    segment: np.ndarray
    ends: tuple[int, ...]
    measured: bool

    @classmethod
    def fit(
        cls,
        truth: np.ndarray,
        means: np.ndarray,
        segment: np.ndarray,
        *,
        ends: tuple[int, ...],
        origin_weights: np.ndarray | None = None,
        levels: np.ndarray = LEVELS,
        kind: np.ndarray | None = None,
        minimum: int = MINIMUM_SCORES,
    ) -> Calibration:
        """From ``truth`` and ``means`` (O, S, H), NaN where not scored; ``segment`` (S,) groups the cells;
        ``origin_weights`` (O,) lets older origins count less. A cell of fewer than ``minimum`` scores borrows from its
        ``kind`` (S,): sums of many stores do not close for a week, as a store may."""
        origins, series, horizon = truth.shape
        bucket = buckets(horizon, ends)
        count, n_segments = len(ends) + 1, int(segment.max()) + 1 if series else 0
        with np.errstate(invalid="ignore"):
            residual = np.log1p(truth) - np.log1p(means)
        # A day that was forecast to be closed has no band to learn from, whatever came.
        known = np.isfinite(residual) & (means > 0)
        seen = known.any(axis=2).sum(axis=0)
        squares = np.where(known, residual**2, 0.0).sum(axis=(0, 2))
        points = known.sum(axis=(0, 2))
        own = np.divide(squares, points, out=np.full(series, np.nan), where=points > 0)
        sigma = np.full(series, UNMEASURED_SIGMA)
        for s in range(n_segments):
            rows = segment == s
            if np.isfinite(own[rows]).any():
                pool = np.exp(np.nanmean(np.log(np.maximum(own[rows], 1e-8))))
                n = seen[rows]
                mine = np.where(np.isfinite(own[rows]), own[rows], pool)
                sigma[rows] = np.exp(
                    0.5 * (n * np.log(np.maximum(mine, 1e-8)) + SIGMA_WEIGHT * np.log(pool)) / (n + SIGMA_WEIGHT)
                )
        scores = np.where(known, residual, np.nan) / sigma[None, :, None]
        weight = np.ones(origins) if origin_weights is None else origin_weights
        table = np.full((n_segments, count, len(levels)), np.nan)
        normal = np.array([NormalDist().inv_cdf(level) for level in levels])
        for b in range(count):
            steps = bucket == b
            if not steps.any():
                continue
            in_bucket = known[:, :, steps]
            for s in range(n_segments):
                rows = segment == s
                alike = rows if kind is None else np.isin(kind, kind[rows])
                # A thin cell takes the same horizon of its kind, then its kind at any horizon, then everything.
                here, anywhere = (scores[:, :, steps], in_bucket), (scores, known)
                for place, who in ((here, rows), (here, alike), (anywhere, alike), (here, None)):
                    chosen, where = place[0], place[1] if who is None else place[1] & who[None, :, None]
                    if where.sum() >= minimum:
                        break
                else:
                    chosen, where = anywhere
                if where.sum() < 20:
                    table[s, b] = normal
                    continue
                w = np.broadcast_to(weight[:, None, None], where.shape)[where]
                table[s, b] = corrected_quantiles(chosen[where], w, levels, effective_number(chosen, where))
        return cls(sigma, table, segment, ends, bool(known.any()))

    def quantiles(self, means: np.ndarray) -> np.ndarray:
        """The quantiles (S, H, levels) around ``means`` (S, H): monotone, never negative, 0 where the mean is 0."""
        bucket = buckets(means.shape[1], self.ends)
        spread = self.table[self.segment][:, bucket] * self.sigma[:, None, None]
        result = np.expm1(np.log1p(means)[:, :, None] + spread)
        result = np.maximum.accumulate(np.maximum(result, 0.0), axis=2)
        return np.where(means[:, :, None] > 0, result, 0.0)


def unscored(n_series: int, segment: np.ndarray, ends: tuple[int, ...], levels: np.ndarray = LEVELS) -> Calibration:
    """A calibration with nothing measured: wide normal intervals."""
    empty = np.full((1, n_series, ends[-1] + 1), np.nan)
    return Calibration.fit(empty, np.ones_like(empty), segment, ends=ends, levels=levels)
