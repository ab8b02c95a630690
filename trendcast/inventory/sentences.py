"""The advice and the sentence that says it: what to do, by when, what happens without it, at what cost, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from trendcast import wording
from trendcast.inventory.inputs import Parameters

NOTABLE_LEFT = 0.25  # of a loss that an order does not prevent
TOO_LATE = "Most of that risk lies before it can arrive"  # the order it is said of; the review says it too


@dataclass(frozen=True)
class Projection:
    """Stock at the end of each week: names of QUANTILES without a new order, ``ordered_q50`` with the advised one."""

    weeks: list[date]  # Mondays
    receipts: np.ndarray  # (W,) already on order, due within the week
    quantiles: np.ndarray  # (W, 5)
    ordered_q50: np.ndarray  # (W,)


@dataclass(frozen=True)
class Advice:
    """What to do about one category. ``figures`` are plain numbers, None where not known; ``money`` is None without
    prices."""

    product_category: str
    status: str  # order_now, order_soon, ok, excess, unknown
    money: float | None
    order_quantity: float
    order_by: date | None
    sentence: str
    tags: tuple[str, ...]
    assumed: tuple[str, ...]
    figures: dict[str, Any]
    projection: Projection | None


def sentence(advice: Advice, parameters: Parameters) -> str:
    """What to do, by when, what happens without it, at what cost, and why: one figure each, tags in front."""
    figures = advice.figures
    said = {
        "order_now": _order_sentence,
        "order_soon": _order_sentence,
        "excess": _excess_sentence,
        "ok": _ok_sentence,
    }[advice.status](advice, parameters)
    if figures["drivers"] and advice.status != "ok":
        said.append(f"Main drivers: {', '.join(figures['drivers'])}.")
    weeks = figures["realised_weeks"]
    if figures["realised_service"] is not None and advice.status in ("order_now", "order_soon") and weeks >= 13:
        said.append(
            f"Such reorder points held in {wording.percent(figures['realised_service'])} of the last {weeks} weeks "
            f"(aim {wording.percent(figures['target_service'], _digits(figures['target_service']))})."
        )
    tags = f"{', '.join(advice.tags)}: " if advice.tags else ""
    return tags + " ".join(said)


def _order_sentence(advice: Advice, parameters: Parameters) -> list[str]:
    figures, name = advice.figures, advice.product_category
    if advice.order_quantity <= 0:
        return [f"{name} needs an order, but {figures['order_note']}."]
    assert advice.order_by is not None
    multiple = parameters.order_multiple
    cases = f" ({wording.fixed(advice.order_quantity / multiple)} cases)" if multiple and multiple > 1 else ""
    days_late = max(0, -(figures["order_by_days"] or 0))
    by = f"by {wording.day(advice.order_by)}"
    if days_late:
        by = f"now, {days_late} {'day' if days_late == 1 else 'days'} late"
    said = [f"Order {amount(advice.order_quantity)}{cases} of {name} {by}."]
    loss, lost_with = _loss(figures["lost_units"], figures), figures["lost_units_with_order"]
    # An order that comes too late for most of it says how much it leaves.
    left = _loss(lost_with, figures) if lost_with >= NOTABLE_LEFT * figures["lost_units"] else ""
    if figures["on_hand"] <= 0:  # no matter of chance any more
        said.append(
            f"It is out of stock now: until the next possible arrival the expected loss is {loss}"
            + (f"; with it {left}." if left else ", without it.")
        )
    else:
        said.append(
            f"Without it: {_chance(figures['p_stockout'])} chance of a stock-out before the next possible arrival, "
            f"expected loss {loss}; with it {_chance(figures['p_stockout_with_order'])}"
            + (f", loss {left}." if left else ".")
        )
    before = figures["p_stockout_before_arrival"]
    if before > max(0.5 * figures["p_stockout"], 2 * (1 - figures["target_service"])):
        sooner = "what is on order" if figures["on_order"] > 0 else "this delivery"
        said.append(f"{TOO_LATE}: ask for {sooner} sooner.")
    if figures["carrying_cost_month_of_order"] is not None:
        said.append(f"Extra carrying cost {wording.money(figures['carrying_cost_month_of_order'])} a month.")
    if figures["order_note"]:
        said.append(f"{figures['order_note'][0].upper()}{figures['order_note'][1:]}.")
    return said


def _loss(units: float, figures: Mapping[str, Any]) -> str:
    """Units lost, and the margin in them where it is known."""
    said = wording.units(units)
    if figures["lost_money"] is not None and figures["lost_units"] > 0:
        said += f" / {wording.money(units * figures['lost_money'] / figures['lost_units'])} margin"
    return said


def _sooner(figures: Mapping[str, Any]) -> list[str]:
    """That stock runs out before what is on order comes, which no order can mend; nothing where it does not."""
    before = figures["p_stockout_before_arrival"]
    if figures["on_order"] <= 0 or before <= 2 * (1 - figures["target_service"]):
        return []
    if figures["on_hand"] <= 0:
        return ["It is out of stock now: ask for what is on order sooner."]
    chance = f"It has a {_chance(before)} chance of a stock-out before an order of today could arrive"
    return [f"{chance}: ask for what is on order sooner."]


def _excess_sentence(advice: Advice, parameters: Parameters) -> list[str]:
    figures = advice.figures
    said = [
        f"{advice.product_category} has {wording.units(figures['on_hand'])} on hand{_on_order(figures)}, "
        f"{wording.short(figures['excess_units'])} more than it needs: order nothing{_until(advice)}."
    ]
    if figures["excess_money"] is not None:
        said.append(
            f"They tie up {wording.money(figures['excess_money'])} and cost "
            f"{wording.money(figures['avoidable_carrying_cost_year'])} a year to carry."
        )
    if figures["dead"]:
        said.append("Think of a markdown: it would take more than half a year to sell.")
    return said + _sooner(figures)


def _ok_sentence(advice: Advice, parameters: Parameters) -> list[str]:
    figures = advice.figures
    return [
        f"{advice.product_category} needs no order{_until(advice)}: {wording.units(figures['on_hand'])} on hand"
        f"{_lasts(figures)}{_on_order(figures, ', and ')}.",
        *_sooner(figures),
    ]


def _on_order(figures: Mapping[str, Any], words: str = " and ") -> str:
    return f"{words}{wording.short(figures['on_order'])} on order" if figures["on_order"] > 0 else ""


def _lasts(figures: Mapping[str, Any]) -> str:
    days = figures["cover_days"]
    if figures["on_hand"] <= 0:
        return ""
    if days is None:
        return ", and nothing is expected to sell"
    return f", enough for {wording.fixed(min(days, 999))}{' or more' if days > 999 else ''} days"


def _until(advice: Advice) -> str:
    return f" before {wording.day(advice.order_by)}" if advice.order_by is not None else " in the next twelve weeks"


def amount(units: float) -> str:
    """A quantity to order in full: '12,345 units'."""
    name = wording.style()[2]
    digits = 0 if abs(units - round(units)) < 1e-6 or units >= 100 else 1
    return f"{wording.fixed(units, digits)}{wording.NARROW}{name}"


def _chance(share: float) -> str:
    """A probability: never 0 % or 100 %, of which nobody can be sure."""
    if share < 0.005:
        return f"under 1{wording.NARROW}%"
    return f"over 99{wording.NARROW}%" if share > 0.995 else wording.percent(share)


def _digits(share: float) -> int:
    return 0 if abs(100 * share - round(100 * share)) < 1e-9 else 1
