"""The customer's rule exactly as written: (sales - mean) / deviation over the last 14 days, the day itself among them.

Kept for comparison; nothing of it is stored. With the day in its own window the score cannot exceed (n - 1) / sqrt(n) =
3.474, so that its HIGH (above 4) is never reached, and it knows neither weekdays nor holidays.
"""

from __future__ import annotations

import numpy as np

WINDOW = 14
LEAST = 8
THRESHOLD = 2.5
HIGHEST = (WINDOW - 1) / WINDOW**0.5


def plain(units: np.ndarray, threshold: float = THRESHOLD) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(score, expected, impact) of shape (S, T) for units (S, T): the size of the score, NaN with fewer than eight days
    or no deviation at all; the window's mean; '' where the score is at most ``threshold``, else the level."""
    filled, known = np.nan_to_num(units), np.isfinite(units)

    def window(values: np.ndarray) -> np.ndarray:
        total = np.cumsum(np.pad(values, ((0, 0), (WINDOW, 0))), axis=1)
        return total[:, WINDOW:] - total[:, :-WINDOW]

    n = window(known.astype(float))
    with np.errstate(invalid="ignore", divide="ignore"):
        # Taken from a middle value first: sums of squares of large numbers lose the small differences.
        middle = np.nanmedian(np.where(known, units, np.nan), axis=1, keepdims=True) if known.any() else 0.0
        shifted = np.where(known, filled - np.nan_to_num(middle), 0.0)
        mean = window(shifted) / n
        variance = (window(shifted**2) - n * mean**2) / (n - 1)
        deviation = np.sqrt(np.maximum(variance, 0))
        usable = known & (n >= LEAST) & (deviation > 1e-9 * (1 + np.abs(filled)))
        score = np.where(usable, np.abs(shifted - mean) / deviation, np.nan)
    impact = np.where(score > 4, "HIGH", np.where(score > 3, "MEDIUM", np.where(score > threshold, "LOW", "")))
    return score, np.where(n >= LEAST, mean + np.nan_to_num(middle), np.nan), impact
