"""What a chart shows, in a sentence to stand above it, from the figures it is drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from trendcast import wording

AGREE = 0.05  # two forecasts no further apart than this say the same


def gauge(
    now: float,
    ahead: float,
    safety: float,
    quantity: float,
    lead_time_days: float,
    *,
    lot: str = "usual order",
    order_in: float | None = None,
) -> str:
    """Stock against what it should be: the lower of stock now and one lead time ahead decides. ``quantity``: of a
    ``lot``; ``order_in``: days until an advised order must go out, below 0 of one that is late, None where none is
    advised. The advice also knows when what is on order comes, so it may ask for more than the gauge."""
    low = min(now, ahead)
    known = wording.count(round(lead_time_days), "day") if np.isfinite(lead_time_days) else "one lead time"
    when = "now" if now <= ahead else f"left in {known}"
    lead = f"{wording.units(max(low, 0.0))} {when}: "
    if low < safety:
        short = f"{lead}{wording.short(safety - max(low, 0.0))} short of the safety stock of {wording.short(safety)}"
        return f"{short}, until what is on order comes." if order_in is None and ahead >= safety else f"{short}."
    if order_in is not None:
        until = (
            "not surely enough until an order of today arrives"
            if order_in < 0
            else "only if the order goes out today"
            if order_in < 1
            else f"only if the order goes out within {wording.count(round(order_in), 'day')}"
        )
        enough = until if order_in < 0 else f"enough {until}"
        return f"{lead}above the safety stock of {wording.short(safety)}, but {enough}."
    if low > safety + quantity:
        return f"{lead}{wording.short(low - safety - quantity)} more than safety stock and {_a(lot)} together."
    return f"{lead}as it should be, between the safety stock and {_a(lot)} more."


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}"


def projection(weeks: pd.DataFrame, out: date | None = None) -> str:
    """When the shelf is expected to be empty without a new order and with the one advised. ``weeks``: week (Monday),
    q50, ordered_q50; ``out``: the day from which a stock-out is likelier than not."""
    without, ordered = (_first_empty(weeks, name) for name in ("q50", "ordered_q50"))
    # Weeks are told by their ends: a delivery within one hides that there was nothing before it.
    before, again = "", ""
    if out is not None and (without is None or out < without):
        before = f"The shelf is expected to be empty from about {wording.short_day(out)} until what is on order comes. "
        again = "again "
    if without is None:
        after = "From then on the" if before else "The"
        return f"{before}{after} stock lasts all {wording.count(len(weeks), 'week')} ahead without a new order."
    lead = (
        f"{before}Without a new order the shelf is expected to be empty {again}by the end of the week of "
        f"{wording.short_day(without)}"
    )
    if not weeks["ordered_q50"].notna().any() or without == ordered:
        return f"{lead}."
    return f"{lead}, with the one advised " + (
        "not in these weeks." if ordered is None else f"by that of {wording.short_day(ordered)}."
    )


def _first_empty(weeks: pd.DataFrame, name: str) -> Any:
    empty = weeks.loc[weeks[name] < 0.5, "week"]
    return pd.Timestamp(empty.iloc[0]).date() if len(empty) else None


def parts(rows: pd.DataFrame) -> str:
    """What an incident is made of: which part holds most of it. ``rows``: name, gap, share, the rest last."""
    total = float(rows["gap"].sum())
    side = "missing" if total < 0 else "extra"
    first = rows.iloc[0]
    share = float(first["share"])
    if not np.isfinite(share) or share < 0.02:
        return f"{wording.units(abs(total))} {side}, spread over many: no part stands out."
    words = f"{first['name']} holds {wording.percent(share)} of the {wording.units(abs(total))} {side}"
    half = int(np.searchsorted(rows["share"].cumsum().to_numpy(float), 0.8) + 1)
    more = f"; the first {half} together hold four fifths" if 1 < half < len(rows) else ""
    return f"{words}{more}."


def scenarios(totals: Sequence[tuple[str, float]], unit: str) -> str:
    """Which of the compared scenarios brings most. ``totals``: name and difference to its plan, in ``unit``."""

    def said(name: str, value: float) -> str:
        size = wording.money(abs(value)) if unit == "money" else wording.units(abs(value))
        return f"“{name}” brings {size} {'more' if value >= 0 else 'less'} than planned"

    ordered = sorted(totals, key=lambda one: -one[1])
    best, worst = ordered[0], ordered[-1]
    if len(ordered) == 1:
        return said(*best) + "."
    return f"{said(*best)}, the most of the {len(ordered)} compared; {said(*worst)}."


def second_opinion(gaps: Mapping[str, float]) -> str:
    """How far other models are from ours over the weeks on view. ``gaps``: model -> its sum over ours, less one."""
    said = [
        f"{name} expects {wording.percent(abs(gap))} {'more' if gap >= 0 else 'less'}" for name, gap in gaps.items()
    ]
    if not said:
        return ""
    far = max(gaps.values(), key=abs)
    advice = "they agree" if len(said) > 1 else "it agrees"
    if abs(far) > AGREE:
        advice = "look at the parts of the number before relying on it"
    return f"{' and '.join(said)} than TrendCast here: {advice}."
