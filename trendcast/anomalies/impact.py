"""How much an anomaly matters: money, relative size and certainty together, each level reachable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS = ("HIGH", "MEDIUM", "LOW")
Q_HIGH, Q_MEDIUM, Q_LOW = 0.01, 0.05, 0.10
P_CERTAIN = 1e-4
REL_HIGH, REL_MEDIUM = 0.40, 0.25
NODE_SHARE = 0.01  # of a day's expected total, from which a node's loss is HIGH
TRAILING = 56
ENOUGH = 100  # usual losses from which their spread is known
# The customer's scale: 2.5 is notable, 3 medium, 4 high.
RANGES = {"LOW": (2.5, 3.0), "MEDIUM": (3.0, 4.0), "HIGH": (4.01, np.inf)}


@dataclass(frozen=True)
class Size:
    """What is known of one finding. ``loss`` in money (or units where nothing has a price) of the day, of a level shift
    per day; ``total`` is what the whole retailer was expected to sell that day, in the same. ``limit``: the loss from
    which people want to hear of this node, where they said so."""

    p: float
    q: float
    rel: float
    loss: float
    total: float = 0.0
    node: bool = False
    shift: bool = False
    up: bool = False
    covered: bool = False  # stock lasts longer than an order takes to come
    learning: bool = False
    limit: float | None = None

    @property
    def share(self) -> float:
        """The loss from which a node's is HIGH: what people set, else a part of what all sell in a day."""
        return NODE_SHARE * self.total if self.limit is None else self.limit


def usual_loss(
    actual: np.ndarray, expected: np.ndarray, weight: np.ndarray, last: int, calm: np.ndarray | None = None
) -> float:
    """What only one of twenty series and days loses: the 95th of a hundred of |actual - expected| x weight (S,) over
    the eight weeks before day ``last``. The default of the limit for HIGH.

    Of a retailer too young for that, over all days that were ``calm`` (S, T); where nothing ever was off, a part of
    what a series sells in a day. Never 0 while anything is sold.
    """
    lost = np.abs(actual - expected) * weight[:, None]
    known = np.isfinite(lost)
    before = lost[:, max(0, last - TRAILING) : last][known[:, max(0, last - TRAILING) : last]]
    if len(before) < ENOUGH:
        every = lost[known if calm is None else known & calm]
        before = every if len(every) > len(before) else before
    usual = float(np.quantile(before, 0.95)) if len(before) else 0.0
    if usual > 0:
        return usual
    daily = expected * weight[:, None]
    daily = daily[np.isfinite(daily)]
    return REL_MEDIUM * float(np.median(daily)) if len(daily) else 0.0


def impact(size: Size, high_loss: float) -> str:
    """HIGH, MEDIUM or LOW. A rise is HIGH only while the stock may not last; a series still being learnt never is."""
    certain = size.p <= P_CERTAIN or size.q <= Q_HIGH
    large = size.loss >= high_loss > 0
    if size.shift:
        # The projected loss of seven days against seven times the limit.
        high = large and size.p <= P_CERTAIN
    elif size.node:
        high = certain and size.loss >= size.share and size.total > 0
    else:
        high = certain and size.rel >= REL_HIGH and large
    if high and not (size.up and size.covered) and not size.learning:
        return "HIGH"
    medium = size.q <= Q_MEDIUM and (size.rel >= REL_MEDIUM or size.loss >= high_loss / 4)
    return "MEDIUM" if high or medium else "LOW"


def score(z: float, level: str) -> float:
    """The size of ``z`` on the customer's scale, held within its level's range."""
    low, high = RANGES[level]
    return float(np.clip(abs(z), low, high))
