"""Attribution: what makes up most of a node's gap."""

from __future__ import annotations

from typing import Any

import numpy as np

from trendcast.anomalies.scene import Scene
from trendcast.panel import DIMENSIONS


def explained(scene: Scene, rows: np.ndarray, day: int, share: np.ndarray) -> list[dict[str, Any]]:
    """What makes up most of a node's gap on a day: the smallest set of names that explains two thirds, in the dimension
    whose names differ most from their parts before it (after Adtributor, NSDI 2014); empty when none stands out.
    ``share``: the part of the gap that each of the ``rows`` has."""
    best: list[dict[str, Any]] = []
    best_surprise = 0.02
    usual = np.nan_to_num(scene.units[rows, :day]).sum(axis=1)
    usual = usual / max(usual.sum(), 1e-9)
    for column in DIMENSIONS:
        names = scene.series[column].to_numpy(object)[rows]
        unique, code = np.unique(names.astype(str), return_inverse=True)
        if len(unique) < 2:
            continue
        part, normal = np.bincount(code, share), np.bincount(code, usual)
        order = np.argsort(-part)
        count = int(np.searchsorted(np.cumsum(part[order]), 0.67) + 1)
        middle = (np.clip(part, 1e-9, None) + np.clip(normal, 1e-9, None)) / 2
        surprise = float(
            0.5 * (np.clip(part, 1e-9, None) * np.log(np.clip(part, 1e-9, None) / middle)).sum()
            + 0.5 * (np.clip(normal, 1e-9, None) * np.log(np.clip(normal, 1e-9, None) / middle)).sum()
        )
        if count <= max(1, len(unique) // 3) and count <= 5 and surprise > best_surprise:
            best_surprise = surprise
            best = [{"dimension": column, "name": str(unique[i]), "share": float(part[i])} for i in order[:count]]
    return best
