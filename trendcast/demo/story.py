"""What goes wrong at the demo retailer, and the labels that say so: the truth that detection is scored against.

The last 13 weeks of the nominal history (and the first days beyond it) tell a fixed story with every size of trouble,
so that the inbox is never empty. Before and after them the same kinds come at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trendcast.demo.streams import BLOCK, Streams

WEEKS = 13  # of the story
EVERYWHERE = -1  # as category or region: all of them

# Kinds that are demand, and those that are only the feed's.
SPIKE, DROP, SHIFT, OUTAGE = "spike", "drop", "level_shift", "outage"
MISSING, DOUBLED = "missing_feed", "doubled_feed"
SHIFT_IS_NEWS = 14  # days after which a shifted level is what one expects


@dataclass(frozen=True)
class Label:
    """One anomaly: ``size`` is what it does to units, as a share (0.5: half as much again)."""

    kind: str
    first: int  # days from the retailer's first day
    last: int
    category: int
    region: int
    size: float


def tell(streams: Streams, categories: int, regions: int, nominal: int, days: int) -> list[Label]:
    """All labels within ``days``; ``nominal`` is the number of days of the history the story ends with."""
    start = max(nominal - 7 * WEEKS, 0)
    beyond = nominal + 10
    labels = _story(categories, regions, nominal)
    for number in range(-(-days // BLOCK)):
        labels += [
            label
            for label in _block(streams.block("story", number), number * BLOCK, categories, regions)
            if label.first >= 60 and not start - 21 <= label.first < beyond
        ]
    return sorted((label for label in labels if 0 <= label.first < days), key=lambda label: (label.first, label.kind))


def _story(categories: int, regions: int, nominal: int) -> list[Label]:
    """The fixed part; offsets count back from the last day, negative ones are days to come."""
    last_category, last_region = categories - 1, regions - 1
    told = [
        (SPIKE, 2, 2, 0, EVERYWHERE, 0.9),
        (DROP, 4, 3, 1 % categories, 0, -0.55),
        (SPIKE, 6, 1, last_category, last_region, 0.8),
        (DROP, 13, 1, 2 % categories, last_region, -0.5),
        (OUTAGE, 18, 1, EVERYWHERE, last_region, -0.85),
        (SPIKE, 25, 2, 1 % categories, EVERYWHERE, 0.6),
        (MISSING, 31, 1, EVERYWHERE, 1 % regions, -1.0),
        (SHIFT, 36, SHIFT_IS_NEWS, 2 % categories, EVERYWHERE, -0.35),
        (DOUBLED, 45, 1, EVERYWHERE, 0, 1.0),
        (DROP, 52, 2, 0, last_region, -0.6),
        (SPIKE, 60, 1, 2 % categories, 0, 1.2),
        (DROP, 67, 2, 1 % categories, EVERYWHERE, -0.5),
        (SPIKE, 74, 1, last_category, 0, 0.7),
        (SPIKE, 81, 3, 0, 0, 0.6),
        (SPIKE, -1, 1, 1 % categories, EVERYWHERE, 0.8),
        (DROP, -2, 2, 0, 0, -0.6),
        (SPIKE, -5, 1, 2 % categories, last_region, 0.9),
    ]
    # A larger retailer has more of the small ones.
    for more in range(min(categories // 4, 40)):
        offset = 3 + (more * 29) % (7 * WEEKS - 10)
        size = (0.6, -0.5, 0.9, -0.65)[more % 4]
        kind = SPIKE if size > 0 else DROP
        told.append((kind, offset, 1 + more % 3, (3 + 4 * more) % categories, (more * 3) % regions, size))
    return [Label(kind, nominal - off, nominal - off + n - 1, c, r, size) for kind, off, n, c, r, size in told]


def _block(rng: np.random.Generator, first: int, categories: int, regions: int) -> list[Label]:
    """What happens at random within BLOCK days from ``first``. Draws the same numbers whatever becomes of them."""
    found = []
    for _ in range(rng.poisson(categories * regions / 24)):
        at = first + int(rng.integers(BLOCK))
        which, where = int(rng.integers(categories)), int(rng.integers(-1, regions))
        length, up, size = int(rng.integers(1, 4)), rng.random() < 0.5, float(rng.uniform(0.5, 1.0))
        size = round(size if up else -0.7 * size, 2)
        found.append(Label(SPIKE if up else DROP, at, at + length - 1, which, where, size))
    days, chance = rng.integers(BLOCK, size=4), rng.random(4)
    which, where = int(rng.integers(categories)), int(rng.integers(regions))
    level = float(rng.choice([-0.3, -0.2, 0.2, 0.3]))
    for n, (kind, odds, length, category, region, size) in enumerate(
        (
            (SHIFT, min(categories / 90, 0.5), SHIFT_IS_NEWS, which, EVERYWHERE, level),
            (OUTAGE, 0.08, 1, EVERYWHERE, where, -0.85),
            (MISSING, 0.08, 1, EVERYWHERE, where, -1.0),
            (DOUBLED, 0.05, 1, EVERYWHERE, where, 1.0),
        )
    ):
        if chance[n] < odds:
            at = first + int(days[n])
            found.append(Label(kind, at, at + length - 1, category, region, size))
    return found


def rows(label: Label, category: np.ndarray, region: np.ndarray) -> np.ndarray:
    """bool (series,): the series the label is about."""
    named = np.ones(len(category), dtype=bool)
    if label.category != EVERYWHERE:
        named &= category == label.category
    if label.region != EVERYWHERE:
        named &= region == label.region
    return named
