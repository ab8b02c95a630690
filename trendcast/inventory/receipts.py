"""What the stock levels say of deliveries: the data hold no receipts, but stock and sales imply them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

YEAR = 364
TOLERANCE = 0.25  # of a usual day's sales: smaller jumps of the stock are counting, not deliveries
TRUSTED = 0.10  # unexplained movement beyond this share of the sales: stock and sales are not of one world


@dataclass(frozen=True)
class Receipts:
    """Inferred deliveries of one category."""

    units: np.ndarray  # (T,) received on each day, 0 without a delivery
    lot: float  # median delivery of the last 52 weeks, NaN without one
    residual: float  # units that vanished (shrink, adjustments) over units sold, NaN where nothing was sold
    days: int  # days with stock and sales known

    @property
    def trusted(self) -> bool:
        return not self.residual > TRUSTED


def infer(stock: np.ndarray, sold: np.ndarray) -> Receipts:
    """Deliveries from ``stock`` (T,) at the end of days and units ``sold`` (T,), NaN where not recorded:
    ``stock_t - stock_{t-1} + sold_t`` when above a tolerance. Below minus the tolerance stock vanished."""
    moved = np.diff(stock, prepend=np.nan) + sold
    known = np.isfinite(moved)
    daily = np.nanmean(np.where(np.isfinite(sold), sold, 0.0)) if len(sold) else 0.0
    limit = max(TOLERANCE * daily, 1e-9)
    units = np.where(known & (moved > limit), moved, 0.0)
    vanished = np.where(known & (moved < -limit), -moved, 0.0)
    recent = units[-YEAR:]
    explained = sold[known].sum()
    return Receipts(
        units=units,
        lot=float(np.median(recent[recent > 0])) if (recent > 0).any() else np.nan,
        residual=float(vanished.sum() / explained) if explained > 0 else np.nan,
        days=int(known.sum()),
    )


def roll_forward(stock: float, sold_since: np.ndarray, received_since: float) -> float:
    """Stock now, from its last count, what was sold on the days since and what arrived; never below zero."""
    return float(max(stock + received_since - np.nan_to_num(sold_since).sum(), 0.0))
