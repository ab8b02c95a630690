"""How far forecasts were from the truth: point, interval and distribution scores.

Every function takes arrays of one shape, last axis = days of a window, NaN = not scored (the pair is left out), and
reduces over `axis` (None = all). What is undefined (nothing scored, a scale of zero) is NaN, never a plausible number.

Definitions: WAPE = sum|f - y| / sum|y|, bias = sum(f - y) / sum y; MASE and RMSSE scale by the in-sample error of the
seasonal naive forecast (Hyndman and Koehler 2006; M5 guide); pinball loss and its interval form WIS (Gneiting and
Raftery 2007; Bracher et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Axis = int | tuple[int, ...] | None
Score = np.ndarray | float


def _scored(y: np.ndarray, f: np.ndarray) -> np.ndarray:
    return ~(np.isnan(y) | np.isnan(f))


def _sum(values: np.ndarray, scored: np.ndarray, axis: Axis) -> np.ndarray:
    return np.where(scored, values, 0.0).sum(axis=axis)


def _ratio(top: np.ndarray, bottom: np.ndarray) -> Score:
    """top / bottom; NaN where the bottom is zero, negative or unknown."""
    bottom = np.asarray(bottom, float)
    usable = bottom > 0
    result = np.where(usable, np.asarray(top, float) / np.where(usable, bottom, 1.0), np.nan)
    return float(result) if result.ndim == 0 else result


def _mean(values: np.ndarray, scored: np.ndarray, axis: Axis) -> Score:
    return _ratio(_sum(values, scored, axis), scored.sum(axis=axis))


def wape(y: np.ndarray, f: np.ndarray, axis: Axis = None) -> Score:
    """Sum of absolute errors / sum of units."""
    scored = _scored(y, f)
    return _ratio(_sum(np.abs(f - y), scored, axis), _sum(np.abs(y), scored, axis))


def bias(y: np.ndarray, f: np.ndarray, axis: Axis = None) -> Score:
    """Sum of (forecast - truth) / sum of units: above 0 means forecast too high."""
    scored = _scored(y, f)
    return _ratio(_sum(f - y, scored, axis), _sum(np.abs(y), scored, axis))


def mae(y: np.ndarray, f: np.ndarray, axis: Axis = None) -> Score:
    """Mean absolute error in units."""
    return _mean(np.abs(f - y), _scored(y, f), axis)


def rmse(y: np.ndarray, f: np.ndarray, axis: Axis = None) -> Score:
    """Root of the mean squared error in units."""
    root = np.sqrt(_mean((f - y) ** 2, _scored(y, f), axis))
    return float(root) if np.ndim(root) == 0 else root


def mape(y: np.ndarray, f: np.ndarray, axis: Axis = None) -> Score:
    """Mean of |f - y| / y over what has y > 0; see `zero_share` for what that leaves out."""
    scored = _scored(y, f) & (y > 0)
    return _mean(np.abs(f - y) / np.where(scored, y, 1.0), scored, axis)


def zero_share(y: np.ndarray, f: np.ndarray, axis: Axis = None) -> Score:
    """Share of the scored days with no sales, which MAPE leaves out."""
    scored = _scored(y, f)
    return _mean((y <= 0).astype(float), scored, axis)


def seasonal_scale(history: np.ndarray, season: int = 7) -> np.ndarray:
    """In-sample mean |y_t - y_(t-season)| of each series, (S,) from (S, T); NaN if undefined."""
    history = np.asarray(history, float)
    if history.shape[-1] <= season:
        return np.full(history.shape[:-1], np.nan)
    step = history[..., season:] - history[..., :-season]
    return np.asarray(_mean(np.abs(step), ~np.isnan(step), -1))


def mase(y: np.ndarray, f: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Mean absolute error of each series / its `seasonal_scale`, (S,)."""
    return np.asarray(_ratio(np.asarray(mae(y, f, axis=-1)), scale))


def weekly(values: np.ndarray, starts: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
    """Sums of whole weeks: 7 days from each of `starts` (default every 7 days from the first); NaN if any day is."""
    days = values.shape[-1]
    first = np.arange(0, days - 6, 7) if starts is None else np.asarray(starts, int)
    if not len(first):
        return np.empty((*values.shape[:-1], 0))
    return values[..., first[:, None] + np.arange(7)].sum(axis=-1)


def pinball(y: np.ndarray, q: np.ndarray, levels: Sequence[float], axis: Axis = None) -> Score:
    """Mean pinball loss over the quantiles q (..., days, levels): max(p (y - q), (p - 1)(y - q)).

    The axis counts in y's dimensions; levels are always averaged.
    """
    loss, scored = _pinball(y, q, levels)
    return _mean(loss, scored, axis)


def _pinball(y: np.ndarray, q: np.ndarray, levels: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    p = np.asarray(levels, float)
    gap = y[..., None] - q
    loss = np.maximum(p * gap, (p - 1) * gap).mean(axis=-1)
    return loss, ~np.isnan(loss)


def wql(y: np.ndarray, q: np.ndarray, levels: Sequence[float], axis: Axis = None) -> Score:
    """Weighted quantile loss: twice the sum of the mean pinball losses / sum of units (1x WAPE for a point)."""
    loss, scored = _pinball(y, q, levels)
    return _ratio(2 * _sum(loss, scored, axis), _sum(np.abs(y), scored, axis))


def scaled_pinball(y: np.ndarray, q: np.ndarray, levels: Sequence[float], scale: np.ndarray) -> np.ndarray:
    """Twice the mean pinball loss of each series / its `seasonal_scale`, (S,) (SQL of fev; a point scores its MASE)."""
    return np.asarray(_ratio(2 * np.asarray(pinball(y, q, levels, axis=-1)), scale))


def coverage(y: np.ndarray, lower: np.ndarray, upper: np.ndarray, axis: Axis = None) -> Score:
    """Share of truths within [lower, upper]."""
    scored = ~(np.isnan(y) | np.isnan(lower) | np.isnan(upper))
    return _mean(((y >= lower) & (y <= upper)).astype(float), scored, axis)
