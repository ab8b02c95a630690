"""Units of which a usual day has few and that are no counts: judged as large numbers, told in their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trendcast.anomalies.entries import Found
from trendcast.anomalies.scene import Scene

SMALL, LARGE = 20.0, 200.0  # a usual day of series too small for the thresholds of counts, and of such that are not


def magnified(units: np.ndarray) -> float:
    """By how much units are to be multiplied to be judged. A retailer who counts turnover in thousands sells 0.8 and
    1.3 a day: those are no low counts, and are judged as large numbers would be. 1 for whole numbers."""
    known = units[np.isfinite(units)]
    if not len(known) or (known == np.round(known)).all():
        return 1.0
    each = [float(np.median(row[np.isfinite(row)])) for row in units if np.isfinite(row).any()]
    level = float(np.median(each))
    return float(10 ** np.ceil(np.log10(LARGE / level))) if 0 < level < SMALL else 1.0


def scaled(scene: Scene, times: float) -> Scene:
    return replace(
        scene,
        units=scene.units * times,
        forecast=scene.forecast * times,
        value=scene.value / times,
        stock=replace(scene.stock, on_hand=scene.stock.on_hand * times),
    )


def reduced(found: Found, scene: Scene, times: float) -> Found:
    """What was found, in the scene's own units."""
    in_units = ("actual", "expected", "lo", "hi", "loss_units")
    for entry in found.entries:
        entry.days = [replace(one, **{name: getattr(one, name) / times for name in in_units}) for one in entry.days]
        for name in ("on_hand", *(() if found.in_money else ("limit",))):
            if entry.facts.get(name) is not None:
                entry.facts[name] /= times
    log = np.log1p(found.expected.units / times)
    high = found.high_loss if found.in_money else found.high_loss / times
    return replace(found, expected=replace(found.expected, log=log), high_loss=high)
