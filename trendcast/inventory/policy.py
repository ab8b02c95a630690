"""Order policies and service measures on samples of demand; every policy is a target position, then rounding.

Names as in the literature, which are not interchangeable: cycle service (alpha) is the probability of no stock-out
within a protection interval, fill rate the share of demand served from stock. Formulas: Snyder and Shen, Fundamentals
of Supply Chain Theory (2019), chapters 3 to 5; lost sales and lumpy demand: van Donselaar and Broekmeulen (2010).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trendcast.inventory.demand import quantile

POLICIES = ("cover", "min_max", "reorder_point", "order_up_to")


# --- service measures on samples: of advice, and of each policy in a replay of the past ------------------------------


def expected_shortage(samples: np.ndarray, level: float) -> float:
    """Expected units short of demand per protection interval, E[(D - level)+]."""
    return float(np.maximum(samples - level, 0.0).mean())


def fill_rate(samples: np.ndarray, reorder_point: float, lot: float) -> float:
    """Fill rate of a reorder point with lots of ``lot``, backorders: 1 - (ESC(r) - ESC(r + Q)) / Q."""
    gone = expected_shortage(samples, reorder_point) - expected_shortage(samples, reorder_point + lot)
    return 1.0 - gone / lot


def fill_rate_periodic(protection: np.ndarray, lead: np.ndarray, review: np.ndarray, level: float) -> float:
    """Fill rate of an order-up-to level: 1 - (ESC over L + R - ESC over L) / E[demand of a review period]."""
    gone = expected_shortage(protection, level) - expected_shortage(lead, level)
    return 1.0 - gone / float(review.mean())


def fill_rate_lost_sales(samples: np.ndarray, reorder_point: float, lot: float) -> float:
    """Fill rate of a reorder point when what is short is lost and at most one order is outstanding: Q / (Q + ESC)."""
    return lot / (lot + expected_shortage(samples, reorder_point))


# --- from costs to a target ---------------------------------------------------------------------------------------


def newsvendor(samples: np.ndarray, shortage: float, overage: float) -> tuple[float, float]:
    """(best stock, its expected cost) when a unit short costs ``shortage`` and a unit left ``overage``: the smallest
    stock S with F(S) >= Cu / (Cu + Co). What a replay compares a chosen service with."""
    best = quantile(samples, shortage / (shortage + overage))
    cost = overage * np.maximum(best - samples, 0).mean() + shortage * np.maximum(samples - best, 0).mean()
    return best, float(cost)


def economic_lot(order_cost: float, yearly_demand: float, holding_cost: float) -> float:
    """Economic order quantity: sqrt(2 K D / h), ``holding_cost`` per unit and year."""
    return math.sqrt(2 * order_cost * yearly_demand / holding_cost)


def lot_cost_ratio(lot: float, best: float) -> float:
    """Cost of ordering in lots of ``lot`` over that of the best lot: (Q/Q* + Q*/Q) / 2."""
    return (lot / best + best / lot) / 2


def overage_cost(unit_cost: float, holding_rate: float, review_days: float, markdown: float = 0.0) -> float:
    """Cost of a unit too many for one review period: its holding, and what it loses if it must be marked down."""
    return unit_cost * holding_rate * review_days / 365 + markdown


def implied_shortage_cost(overage: float, service: float) -> float:
    """What one lost unit is worth to whoever chooses this service: Co tau / (1 - tau)."""
    return overage * service / (1 - service)


# --- policies: a target position, then rounding --------------------------------------------------------------------


@dataclass(frozen=True)
class Position:
    """What a policy says: order when the position is at or below ``reorder_point``, up to ``target``."""

    reorder_point: float
    target: float
    wanted: float  # target - position if an order is due, else 0: before rounding


def target_position(policy: str, position: float, protection: np.ndarray, service: float, lot: float) -> Position:
    """What the policy wants at the inventory position on hand + on order - backorders.

    protection (M,): demand until the next order after this one could arrive. ``lot``: the usual lot; of policy "cover"
    the expected demand of the days an order shall last, which follows season and promotions.
    """
    level = quantile(protection, service)
    due = position <= level
    if policy == "order_up_to":
        return Position(level, level, max(0.0, level - position))
    if policy in ("cover", "min_max"):
        return Position(level, level + lot, level + lot - position if due else 0.0)
    if policy == "reorder_point":
        lots = max(1, math.ceil((level - position) / lot - 1e-9)) if lot > 0 else 0
        wanted = lots * lot if lot > 0 else max(0.0, level - position)
        return Position(level, position + wanted if due else level, wanted if due else 0.0)
    raise ValueError(f"'{policy}' is not a policy: it is one of {', '.join(POLICIES)}")


@dataclass(frozen=True)
class Rounded:
    """An order as it can be placed, and why it is not what was wanted ('' if it is)."""

    quantity: float
    note: str = ""


def round_order(
    wanted: float,
    *,
    moq: float = 0.0,
    multiple: float = 0.0,
    position: float = 0.0,
    max_stock: float | None = None,
    shelf_life_demand: float | None = None,
    least: float = 0.0,
) -> Rounded:
    """``wanted`` as the supplier takes it: 0 stays 0; else at least ``moq``, a multiple of ``multiple`` (0: any), and
    position + order within ``max_stock`` and within ``shelf_life_demand``, median demand until the goods spoil.

    Of the two multiples next to it the one whose lot costs less is taken (holding and ordering, lot_cost_ratio), but
    never less than ``least``, what lifts the position above the reorder point. Where a cap leaves less than the
    supplier's minimum, the minimum is ordered and the note says so; where it leaves nothing, nothing is.
    """
    if wanted <= 0:
        return Rounded(0.0)
    smallest = moq
    if multiple > 0:
        smallest = max(math.ceil(moq / multiple - 1e-9), 1) * multiple
    quantity = max(wanted, smallest)
    if multiple > 0 and quantity > smallest:
        down, up = math.floor(quantity / multiple + 1e-9) * multiple, math.ceil(quantity / multiple - 1e-9) * multiple
        fits = down >= max(smallest, least)
        quantity = down if fits and lot_cost_ratio(down, quantity) <= lot_cost_ratio(up, quantity) else up
    note = "the quantity is the supplier's minimum" if moq > wanted else ""
    for cap, name in ((max_stock, "the maximum stock"), (shelf_life_demand, "the shelf life")):
        if cap is None or position + quantity <= cap:
            continue
        room = cap - position
        if room <= 0:
            return Rounded(0.0, f"{name} leaves no room")
        if room < smallest:
            quantity, note = smallest, f"the supplier's minimum exceeds {name}"
        else:
            quantity = math.floor(room / multiple + 1e-9) * multiple if multiple > 0 else room
            note = f"the quantity is limited by {name}"
    return Rounded(float(quantity), note)
