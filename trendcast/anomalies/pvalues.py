"""How rarely a deviation of that size is seen: pooled by tail and volume, and how many such findings chance makes.

Conformal: against all ordinary points of the last half year (Bates et al. 2023); beyond the top 3 % a Hill tail. Never
surer than a normal distribution would be, so that a series that never moved is no proof of anything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

REFERENCE = 180  # days
TOP = 0.03
# The largest of all are what is looked for, not what is usual: the tail's slope is taken from below them.
SPOILT = 0.005
LEAST = 300  # points below which a volume bucket is judged with the others
XI = (0.08, 0.35)
VOLUMES = (20.0, 200.0)  # expected units a day that part the buckets


def volume(expected: np.ndarray) -> np.ndarray:
    """0, 1 or 2: low, middle and high volume."""
    return np.digitize(np.nan_to_num(expected), VOLUMES)


class Reference:
    """Sizes of ordinary deviations by tail and bucket; ``p(z, bucket)`` says how rare ``z`` is."""

    def __init__(self, z: np.ndarray, bucket: np.ndarray) -> None:
        known = np.isfinite(z)
        z, bucket = z[known], bucket[known]
        self._tails: dict[tuple[int, int], _Tail] = {}
        self._sizes: dict[tuple[float, int], np.ndarray] = {}
        parts = [z[bucket == one] for one in range(len(VOLUMES) + 1)]
        for sign in (-1, 1):
            sides = [np.abs(part[part * sign > 0]) for part in parts]
            every = _Tail(np.concatenate(sides)) if any(len(mine) < LEAST for mine in sides) else None
            for one, mine in enumerate(sides):
                self._tails[sign, one] = every if every is not None and len(mine) < LEAST else _Tail(mine)

    def p(self, z: np.ndarray, bucket: np.ndarray) -> np.ndarray:
        """P(a deviation in this tail is at least as large), NaN where z is."""
        result = np.where(np.isnan(z), np.nan, 1.0)
        for (sign, one), tail in self._tails.items():
            mine = (bucket == one) & (z * sign > 0)
            if mine.any():
                result[mine] = tail.p(np.abs(z[mine]))
        return result

    def size(self, p: float, sign: int, bucket: np.ndarray) -> np.ndarray:
        """The deviation whose p-value is ``p`` in a tail, per bucket given."""
        if (p, sign) not in self._sizes:
            self._sizes[p, sign] = np.array([self._tails[sign, one].size(p) for one in range(len(VOLUMES) + 1)])
        return self._sizes[p, sign][bucket]


class _Tail:
    def __init__(self, sizes: np.ndarray) -> None:
        self.sizes = np.sort(sizes)
        n = len(self.sizes)
        self.top, spoilt = int(TOP * n), int(SPOILT * n)
        if self.top >= 5 and self.sizes[n - self.top] > 0:
            self.start = float(self.sizes[n - self.top])
            if spoilt >= 5:
                xi = np.log(self.sizes[n - spoilt] / self.start) / np.log(self.top / spoilt)
            else:
                xi = np.log(self.sizes[n - self.top :] / self.start).mean()
            self.xi = float(np.clip(xi, *XI))
        else:
            self.start, self.xi = np.inf, XI[1]

    def p(self, size: np.ndarray) -> np.ndarray:
        from scipy.special import erfc

        n = len(self.sizes)
        normal = erfc(size / np.sqrt(2))
        if n < 20:
            return normal
        empirical = (n - np.searchsorted(self.sizes, size, side="left") + 1) / (n + 1)
        beyond = size > self.start
        hill = np.where(beyond, size / self.start, 1.0) ** (-1 / self.xi) * self.top / n
        # So few or so even sizes show no tail: then the count alone speaks, or the normal distribution.
        told = np.where(beyond, hill, empirical) if np.isfinite(self.start) else np.minimum(empirical, normal)
        return np.maximum(told, normal)

    def size(self, p: float) -> float:
        from scipy.special import erfcinv

        n = len(self.sizes)
        normal = float(np.sqrt(2) * erfcinv(p))
        return normal if n < 20 else max(float(self.sizes[min(n - 1, int((1 - p) * n))]), normal)


def low_count(units: np.ndarray, mean: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Two-sided mid-p of counts under a negative binomial of this mean and variance mean + alpha mean^2."""
    from scipy.stats import nbinom

    size = 1 / np.maximum(alpha, 1e-4)
    chance = size / (size + np.maximum(mean, 1e-6))
    count = np.floor(units)
    at = nbinom.pmf(count, size, chance)
    below = nbinom.cdf(count, size, chance) - at
    above = nbinom.sf(count, size, chance)
    return np.clip(2 * np.minimum(below, above) + at, 0, 1)


def normal(z: float | np.ndarray) -> Any:
    """P(a standard normal is as far off on either side)."""
    from scipy.special import erfc

    return erfc(np.abs(z) / np.sqrt(2))


def so_many(count: int, of: int, chance: float) -> float:
    """P(at least so many of these, each by this chance)."""
    from scipy.stats import binom

    return float(binom.sf(count - 1, of, chance))


def none_sold(mean: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """log P(nothing sold) on a day of this mean."""
    alpha = np.maximum(alpha, 1e-4)
    return -np.log1p(alpha * np.maximum(mean, 0)) / alpha


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """The false discovery rate at which each test would be found, over the tests that ran; NaN where none did."""
    q = np.full(p.shape, np.nan)
    ran = np.flatnonzero(np.isfinite(p))
    if not len(ran):
        return q
    order = ran[np.argsort(p[ran], kind="stable")]
    raised = p[order] * len(ran) / np.arange(1, len(ran) + 1)
    q[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return q
