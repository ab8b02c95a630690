"""What is known of the days ahead, and what stands in for a plan that is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trendcast.features.calendar import weekday
from trendcast.panel import Panel

YEAR = 364
HALF_YEAR = 182  # days of two years side by side before they are compared


def known_mask(panel: Panel) -> np.ndarray:
    """bool (S, days): the promotion of that day was recorded or planned, not guessed."""
    return ~np.isnan(panel.promotion)


def expected_promotion(panel: Panel) -> Panel:
    """The panel with a promotion share on every day: planned where there is a plan, else expected.

    Ahead of the plan the expectation is the share of the last year's days of the same weekday under promotion, moved
    towards what the same day had a year ago as far as years have repeated each other: "no promotion" would forecast too
    little by the whole uplift of an average day. Past days without a flag are without a promotion.
    """
    promotion = panel.promotion
    known = known_mask(panel)
    if known.all():
        return panel
    filled = np.where(known, promotion, 0).astype(np.float32)
    ahead = ~known[:, panel.history :]
    if ahead.any() and known[:, : panel.history].any():
        first = max(0, panel.history - YEAR)
        days = weekday(panel.dates)
        # Closed days carry no promotions worth expecting on open ones.
        seen = known[:, first : panel.history] & (panel.open[:, first : panel.history] > 0)
        rate = np.zeros((panel.n_series, 7), np.float32)
        for d in range(7):
            on = days[first : panel.history] == d
            count = seen[:, on].sum(axis=1)
            rate[:, d] = (filled[:, first : panel.history][:, on] * seen[:, on]).sum(axis=1) / np.maximum(count, 1)
        usual = rate[:, days]
        repeat = _repetition(filled, usual, known & (panel.open > 0), panel.history)
        coming = np.arange(panel.history, panel.days)
        expected = usual[:, coming]
        if repeat > 0:
            before = coming - YEAR
            reach = (before >= 0) & (before < panel.history)
            seen_then = known[:, before[reach]] & (panel.open[:, before[reach]] > 0)
            gap = np.where(seen_then, filled[:, before[reach]] - usual[:, before[reach]], 0)
            expected[:, reach] += np.float32(repeat) * gap
        filled[:, panel.history :] = np.where(ahead, np.clip(expected, 0, 1), filled[:, panel.history :])
    return replace(panel, promotion=filled)


def _repetition(promotion: np.ndarray, usual: np.ndarray, seen: np.ndarray, history: int) -> float:
    """How much of a day's promotion, beyond its weekday's rate, is seen again a year later: 0 (nothing) to 1 (all)."""
    if history < YEAR + HALF_YEAR:
        return 0.0
    now, then = slice(max(YEAR, history - YEAR), history), slice(max(0, history - 2 * YEAR), history - YEAR)
    both = seen[:, now] & seen[:, then]
    gap_now, gap_then = ((promotion[:, part] - usual[:, part]) * both for part in (now, then))
    spread = float((gap_then**2).sum())
    return float(np.clip((gap_now * gap_then).sum() / spread, 0, 1)) if spread > 0 else 0.0
