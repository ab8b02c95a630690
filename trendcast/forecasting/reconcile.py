"""Forecasts that add up: the least change, in units of each series' own error, that makes all levels agree.

Trace-minimising reconciliation (Wickramasuriya, Athanasopoulos, Hyndman 2019) with a diagonal W. For bottom series b,
aggregates a and the 0/1 matrix A:  b~ = b + Wb A' (A Wb A' + Wa)^-1 (a - A b),  a~ = A b~.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse


def reconcile(
    means: np.ndarray, summing: sparse.csr_matrix, aggregates: int, error: np.ndarray, trusted: np.ndarray | None = None
) -> np.ndarray:
    """Coherent, non-negative means (S, H).

    ``means`` (S, H): all nodes, the ``aggregates`` first, then the bottom; ``summing`` (S, bottom) 0/1; ``error``
    (S,): each node's out-of-sample error relative to its mean. A day's standard deviation is error x that day's mean,
    so a closed day (mean 0) stays 0 and changes are proportional. ``trusted`` (aggregates, H) False: the aggregate's
    own forecast is not used on that day.
    """
    bottom = means[aggregates:]
    if not aggregates:
        return np.maximum(means, 0.0)
    a = sparse.csr_matrix(summing[:aggregates])
    result = np.empty_like(means)
    adjusted = bottom.copy()
    for day in range(means.shape[1]):
        b = bottom[:, day]
        variance_b = (error[aggregates:] * b) ** 2
        variance_a = (error[:aggregates] * means[:aggregates, day]) ** 2
        use = (means[:aggregates, day] > 0) & (a @ b > 0)
        if trusted is not None:
            use &= trusted[:, day]
        if not use.any() or not variance_b.any():
            continue
        rows = a[np.flatnonzero(use)]
        system = (rows.multiply(variance_b) @ rows.T).toarray()
        diagonal = np.arange(len(system))
        # A tiny ridge: with Wa near 0 the constraints of nested levels are linearly dependent.
        system[diagonal, diagonal] += variance_a[use] + 1e-9 * np.trace(system) / len(system)
        gap = means[:aggregates, day][use] - rows @ b
        adjusted[:, day] = b + variance_b * (rows.T @ np.linalg.solve(system, gap))
    # Negatives are clipped and the levels summed again, so everything still adds up exactly.
    result[aggregates:] = np.maximum(adjusted, 0.0)
    result[:aggregates] = a @ result[aggregates:]
    return result
