"""Made-up retailers for the tests of early warning: units as arrays, with known shape and seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from trendcast.anomalies.scene import Scene

FIRST = np.datetime64("2025-01-06", "D")  # a Monday
WEEK = np.array([0.9, 0.9, 0.95, 1.0, 1.1, 1.25, 0.9])


def named(categories: int, regions: int) -> pd.DataFrame:
    """Series of every category in every region, the region running fastest."""
    return pd.DataFrame(
        {
            "level": "category_region",
            "product_category": [f"C{c:03d}" for c in range(categories) for _ in range(regions)],
            "region": [f"R{r}" for _ in range(categories) for r in range(regions)],
            "store": "",
        }
    )


def noisy(series: int, days: int, *, level: float = 200.0, sd: float = 0.06, seed: int = 1) -> np.ndarray:
    """Units (series, days): a weekday pattern with lognormal noise, rounded to whole units."""
    rng = np.random.default_rng(seed)
    scale = level * np.exp(rng.normal(0, 0.3, (series, 1)))
    return np.round(scale * WEEK[np.arange(days) % 7] * np.exp(rng.normal(0, sd, (series, days))))


def scene(units: np.ndarray, categories: int | None = None, regions: int = 1, **more: Any) -> Scene:
    """A scene of these units; without ``categories`` each series is a category of its own."""
    count = len(units) // regions if categories is None else categories
    return Scene.of(named(count, regions), FIRST, units, **more)
