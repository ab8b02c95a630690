"""The combination: non-negative weights per segment, learnt from what each member would have said before.

Two or three diverse members take nearly all the gain of an ensemble, and equal weights are hard to beat, so weights
are fitted on pooled out-of-sample forecasts per segment (never per series: that fits noise), and are shrunk to equal.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

MINIMUM_ORIGINS = 4  # fewer tell too little: equal weights
GOOD = 1.15  # the members that "equal" means: none is this much worse than the segment's best
USABLE = 2.0  # a member this much worse than the best gets no weight, however different its errors are
SHRINKAGE = 4.0  # weights move n / (n + SHRINKAGE) of the way from equal, n the number of origins
DRIFT_DAYS = 28
DRIFT_OVERLAP = 3.0  # windows of origins four weeks apart overlap, so their errors are not so many witnesses
CAP = 3.0  # no day above this many times the largest day ever sold


def segments(nodes: pd.DataFrame, recent_units: np.ndarray, *, classes: int = 3, smallest: int = 30) -> np.ndarray:
    """Segment of each series, (S,) int: its level, and within a level of many series its volume class (tercile).

    A level with fewer than ``classes * smallest`` series is one segment.
    """
    result = np.zeros(len(nodes), int)
    next_segment = 0
    for rows in nodes.groupby("level", sort=False).indices.values():
        count = classes if len(rows) >= classes * smallest else 1
        rank = recent_units[rows].argsort(kind="stable").argsort(kind="stable")
        result[rows] = next_segment + rank * count // len(rows)
        next_segment += count
    return result


def fit_weights(forecasts: np.ndarray, truth: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """Weights (segments, M), rows sum to 1.

    ``forecasts`` (M, O, S, H) of M members at O origins, ``truth`` (O, S, H) with NaN where not scored, ``segment``
    (S,). They minimise the pooled absolute error (WAPE) on the simplex, by reweighted least squares.
    """
    members = len(forecasts)
    count = int(segment.max()) + 1 if len(segment) else 0
    weights = np.full((count, members), 1 / members)
    for s in range(count):
        rows = segment == s
        y = truth[:, rows].ravel()
        known = np.isfinite(y)
        origins = int(np.isfinite(truth[:, rows]).any(axis=(1, 2)).sum())
        if origins < MINIMUM_ORIGINS:
            continue
        x = np.stack([forecast[:, rows].ravel()[known] for forecast in forecasts])
        weights[s] = _simplex_least_absolute(x, y[known], origins)
    return weights


def _simplex_least_absolute(x: np.ndarray, y: np.ndarray, origins: int, iterations: int = 12) -> np.ndarray:
    """argmin_w sum |y - w'x| over w >= 0, sum w = 1, shrunk to equal weights of the good members; x (M, n), y (n,)."""
    from scipy.optimize import nnls

    errors = np.abs(y - x).sum(axis=1)
    good = errors <= GOOD * errors.min()
    usable = errors <= USABLE * errors.min()
    equal = good / good.sum()
    kept = x[usable]
    if len(kept) == 1 or not errors.min() > 0:
        return equal
    scale = np.abs(y).mean() or 1.0
    w = np.full(len(kept), 1 / len(kept))
    for _ in range(iterations):
        # |r| = r^2 / |r_old|; the floor keeps a perfect fit from taking all the weight.
        influence = 1 / np.maximum(np.abs(y - w @ kept), 0.01 * scale)
        gram = (kept * influence) @ kept.T
        moment = (kept * influence) @ y
        # min (w'Gw - 2 m'w) as least squares on G = LL', with the sum held by one heavy row.
        jitter = 1e-10 * np.trace(gram) / len(kept)
        lower = np.linalg.cholesky(gram + jitter * np.eye(len(kept)))
        heavy = 1e3 * np.sqrt(np.trace(gram))
        design = np.vstack([lower.T, np.full((1, len(kept)), heavy)])
        target = np.r_[np.linalg.solve(lower, moment), heavy]
        new = nnls(design, target)[0]
        new /= new.sum()
        if np.abs(new - w).max() < 1e-4:
            w = new
            break
        w = new
    fitted = np.zeros(len(x))
    fitted[usable] = w
    trust = origins / (origins + SHRINKAGE)
    return trust * fitted + (1 - trust) * equal


def combine(forecasts: np.ndarray, weights: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """The weighted mean (S, H) of ``forecasts`` (M, S, H) with ``weights`` (S, M).

    A member that is not finite on a day is left out of that day. ``ceiling`` (S,) is the largest day ever sold: no
    forecast passes CAP times it.
    """
    usable = np.isfinite(forecasts)
    share = np.where(usable, weights.T[:, :, None], 0.0)
    total = share.sum(axis=0)
    # All the weight may lie on members that failed: then those that did not share it equally.
    share = np.where(total > 0, share, usable.astype(float))
    total = share.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(total > 0, (np.where(usable, forecasts, 0.0) * share).sum(axis=0) / total, 0.0)
    return np.clip(mean, 0.0, CAP * np.maximum(ceiling, 0.0)[:, None])


def volumes(truth: np.ndarray, points: np.ndarray, aggregates: int) -> tuple[np.ndarray, np.ndarray]:
    """What the bottom series (from ``aggregates`` on) sold and were forecast to sell, (O, H) each, over the days known
    of ``truth`` and ``points`` (O, S, H) that were not forecast to be closed."""
    known = np.isfinite(truth[:, aggregates:]) & (points[:, aggregates:] > 0)
    sold = np.where(known, truth[:, aggregates:], 0.0).sum(axis=1)
    return sold, np.where(known, points[:, aggregates:], 0.0).sum(axis=1)


def drift(sold: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Factor per day ahead (H,) that takes out what the combination was wrong by on average: a retailer that keeps
    growing faster than every model expects, say. One for all series, smooth in the horizon, and shrunk to 1.

    ``sold`` and ``said`` (O, H): see ``volumes``.
    """
    horizon = sold.shape[1]
    middle, factor = [], []
    for start in range(0, horizon, DRIFT_DAYS):
        days = slice(start, min(start + DRIFT_DAYS, horizon))
        a, b = sold[:, days].sum(axis=1), said[:, days].sum(axis=1)
        seen = (a > 0) & (b > 0)
        if not seen.any():
            continue
        gap = np.log(a[seen] / b[seen])
        # The origins disagree by more than their mean is off: then there is nothing to correct.
        noise = gap.var(ddof=1) / len(gap) * DRIFT_OVERLAP if len(gap) > 1 else np.inf
        middle.append((days.start + days.stop - 1) / 2)
        factor.append(gap.mean() * gap.mean() ** 2 / (gap.mean() ** 2 + noise) if np.isfinite(noise) else 0.0)
    if not middle:
        return np.ones(horizon)
    return np.exp(np.interp(np.arange(horizon), middle, factor))
