"""What is known of the days ahead, and what stands in for a plan that is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trendcast.features.calendar import weekday
from trendcast.panel import Panel

YEAR = 364


def known_mask(panel: Panel) -> np.ndarray:
    """bool (S, days): the promotion of that day was recorded or planned, not guessed."""
    return ~np.isnan(panel.promotion)


def expected_promotion(panel: Panel) -> Panel:
    """The panel with a promotion share on every day: planned where there is a plan, else expected.

    Ahead of the plan the expectation is the share of the last year's days of the same weekday under promotion: "no
    promotion" would forecast too little by the whole uplift of an average day. Past days without a flag are without a
    promotion.
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
        filled[:, panel.history :] = np.where(ahead, rate[:, days[panel.history :]], filled[:, panel.history :])
    return replace(panel, promotion=filled)
