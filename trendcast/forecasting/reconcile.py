"""Forecasts that add up: the least change, in units of each series' own error, that makes all levels agree.

Trace-minimising reconciliation (Wickramasuriya, Athanasopoulos, Hyndman 2019) with a diagonal W. For bottom series b,
aggregates a and the 0/1 matrix A:  b~ = b + Wb A' (A Wb A' + Wa)^-1 (a - A b),  a~ = A b~.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

BLOCK_ENTRIES = 4_000_000  # numbers in the systems solved at once: 32 MB


def reconcile(
    means: np.ndarray, summing: sparse.csr_matrix, aggregates: int, error: np.ndarray, trusted: np.ndarray | None = None
) -> np.ndarray:
    """Coherent, non-negative means (S, H).

    ``means`` (S, H): all nodes, the ``aggregates`` first, then the bottom; ``summing`` (S, bottom) 0/1; ``error``
    (S,): each node's out-of-sample error relative to its mean. A day's standard deviation is error x that day's mean,
    so a closed day (mean 0) stays 0 and changes are proportional. ``trusted`` (aggregates, H) False: the aggregate's
    own forecast is not used on that day.
    """
    if not aggregates:
        return np.maximum(means, 0.0)
    a = sparse.csc_matrix(summing[:aggregates])
    above, bottom = means[:aggregates], means[aggregates:]
    # A diag(v) A' has an entry for every pair of aggregates over one bottom series: sums by pair, no sparse product.
    parents = a.indices.reshape(bottom.shape[0], -1)  # as many levels above each bottom series
    pair = (parents[:, :, None] * aggregates + parents[:, None, :]).reshape(len(parents), -1)
    pairs_each = pair.shape[1]
    pair = pair.ravel()
    sums = np.asarray(a @ bottom)
    use = (above > 0) & (sums > 0)
    if trusted is not None:
        use &= trusted
    variance_above = (error[:aggregates, None] * above) ** 2
    variance_bottom = (error[aggregates:, None] * bottom) ** 2
    gap = np.where(use, above - sums, 0.0)
    adjusted = bottom.copy()
    diagonal = np.arange(aggregates)
    block = max(1, BLOCK_ENTRIES // aggregates**2)
    for start in range(0, means.shape[1], block):
        days = range(start, min(start + block, means.shape[1]))
        system = np.stack([
            np.bincount(pair, np.repeat(variance_bottom[:, day], pairs_each), aggregates**2) for day in days
        ]).reshape(len(days), aggregates, aggregates)  # fmt: skip
        trace = system[:, diagonal, diagonal].sum(axis=1)
        # A tiny ridge: with Wa near 0 the constraints of nested levels are linearly dependent. An aggregate that is
        # not used is one whose own forecast is worth nothing.
        ridge = 1e-9 * trace[:, None] / aggregates + 1e-300
        worthless = 1e12 * (trace[:, None] + 1.0)
        system[:, diagonal, diagonal] += np.where(use[:, days].T, variance_above[:, days].T + ridge, worthless)
        step = np.linalg.solve(system, gap[:, days].T[:, :, None])[:, :, 0].T
        adjusted[:, days] += variance_bottom[:, days] * np.asarray(a.T @ step)
    # Negatives are clipped and the levels summed again, so everything still adds up exactly.
    lowest = np.maximum(adjusted, 0.0)
    return np.concatenate([np.asarray(a @ lowest), lowest])
