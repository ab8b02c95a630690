"""The advice for one category: what to order by when, what is at stake without it, and why; all from the same paths.

``recommend_one(inputs, parameters)`` is a pure function: whoever changes a parameter (service, lead time, minimum
order, cost) gets the advice anew within milliseconds. What is not known is assumed, and named in ``assumed``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np

from trendcast import wording
from trendcast.inventory import demand, policy
from trendcast.inventory.inputs import Inputs, Parameters
from trendcast.inventory.sentences import Advice, Projection, sentence

SOON_DAYS = 7  # an order due within so many days is an order of this week's meeting
WAIT_DAYS = 7  # "without it" means: decided a week later
EXCESS_DAYS = 7  # of demand beyond the target that are worth a word
DEAD_DAYS = 180
DEFAULT_LOT_DAYS = 14
TARGET_COVER_DAYS = 14  # more than this, or than a lot, beyond the protection interval is excess
MOST_LOT_DAYS = 182
LONGEST_DAYS = 364
LONGEST_LEAD_DAYS = LONGEST_DAYS // 2
MARGIN, HOLDING_RATE = 0.35, 0.25
SERVICE = {"A": 0.98, "B": 0.95, "C": 0.90}
DEFAULT_LEAD_DAYS = 14
QUANTILES = (0.025, 0.10, 0.50, 0.90, 0.975)
QUANTILE_NAMES = ("q025", "q10", "q50", "q90", "q975")


@dataclass(frozen=True)
class Costs:
    """Money per unit, NaN where no price is known."""

    price: float
    cost: float
    margin: float
    holding_rate: float


def recommend_one(inputs: Inputs, pool: np.ndarray, pool_weight: np.ndarray, parameters: Parameters) -> Advice:
    """The advice for one category; pool (K, D) and pool_weight (K,) are the run's library of errors."""
    parameters = parameters.checked()
    assumed: list[str] = []
    costs = _costs(inputs, parameters, assumed)
    service = parameters.target_service
    if service is None:
        service = SERVICE[inputs.service_class]
        assumed.append(f"target service {wording.percent(service)} (class {inputs.service_class} by revenue)")
    observed = inputs.lead_times
    if not len(observed):
        observed = np.array([float(DEFAULT_LEAD_DAYS)])
        assumed.append(f"lead time {DEFAULT_LEAD_DAYS} days")
    lead = demand.draw_lead_times(observed, parameters.lead_time_factor, inputs.seed)
    if lead.max() > LONGEST_LEAD_DAYS:
        lead = np.minimum(lead, LONGEST_LEAD_DAYS)
        assumed.append(f"no delivery takes longer than {LONGEST_LEAD_DAYS} days")
    review = parameters.review_days
    horizon = len(inputs.mean)
    days = min(max(horizon, int(lead.max()) + review + WAIT_DAYS + 28), LONGEST_DAYS)
    path = demand.paths(
        inputs.mean, inputs.own, inputs.own_weight, pool, pool_weight, inputs.scale, inputs.seed, days=days
    )
    running = np.cumsum(path, axis=1, dtype=np.float64)
    if not len(inputs.own) and not len(pool):
        assumed.append("how far forecasts are off (too little history to have measured it)")
    protection = demand.over(running, lead + review)
    lot, lot_days, lot_source = _lot(inputs, parameters, costs, running, lead, review, assumed)
    base = {
        "lead_time_days": float(lead.mean()),
        "lead_time_source": inputs.lead_time_source or "assumed",
        "reorder_point_now": _number(inputs.reorder_point_now),
        "demand_mean": float(protection.mean()),
        "target_service": service,
        "realised_service": realised(inputs.ranks, service),
        "realised_weeks": int(np.isfinite(inputs.ranks).sum()),
        "unit_cost": _number(costs.cost),
        "unit_price": _number(costs.price),
        "margin": _number(costs.margin),
        "holding_rate": costs.holding_rate,
        "lot": lot,
        "lot_days": lot_days,
        "lot_source": lot_source,
        "policy": parameters.policy,
        "review_days": review,
        "lead_time_factor": parameters.lead_time_factor,
        "service_class": inputs.service_class,
        "last_stock_day": inputs.last_stock_day.isoformat() if inputs.last_stock_day else None,
        "stock_residual": _number(inputs.residual),
        "drivers": list(inputs.drivers),
        "business_date": inputs.business_date.isoformat(),
    }
    level = demand.quantile(protection, service)
    base |= {
        "reorder_point": _whole(level, inputs.whole),
        "safety_stock": level - float(protection.mean()),
        # Not the same as service: the share of demand served, when what is short is lost.
        "fill_rate": policy.fill_rate_lost_sales(protection, level, lot) if lot > 0 else None,
    }
    if inputs.on_hand is None:
        return _unknown(inputs, base, tuple(assumed))
    return _advise(inputs, parameters, costs, running, lead, base, tuple(assumed))


def _advise(
    inputs: Inputs,
    parameters: Parameters,
    costs: Costs,
    running: np.ndarray,
    lead: np.ndarray,
    base: dict[str, Any],
    assumed: tuple[str, ...],
) -> Advice:
    """``running`` (M, D): sampled demand since the business date; ``lead`` (M,): sampled lead times."""
    assert inputs.on_hand is not None
    count, days = running.shape
    review, service, lot, lot_days = parameters.review_days, base["target_service"], base["lot"], base["lot_days"]
    receipts = np.zeros(days)
    due = np.nan_to_num(inputs.receipts)[:days]
    receipts[: len(due)] = due
    on_order = float(np.nan_to_num(inputs.receipts).sum())
    position = inputs.on_hand + on_order

    tiny = 1e-9 * max(1.0, position)
    without, short_without = _replay(inputs.on_hand, receipts, running)
    # The last day on which an order still comes in time, with the service wanted, when no stock is bought before.
    wait = _latest(without, short_without, lead, service, tiny)
    status = "ok"
    if wait is not None:
        status = "order_now" if wait < review else "order_soon" if wait <= SOON_DAYS else "ok"
    act = 0 if wait is None else max(wait, 0)
    quantity, note = 0.0, ""
    if status in ("order_now", "order_soon"):
        when = 0 if status == "order_now" else act
        ahead = _from(running, when)
        then = position - (float(np.median(running[:, when - 1])) if when else 0.0)
        shifted = demand.over(ahead, lead + review)
        goal = policy.target_position(
            parameters.policy, min(then, demand.quantile(shifted, service)), shifted, service, lot
        )
        wanted = max(goal.target - then, 0.0) if parameters.policy != "reorder_point" else goal.wanted
        least = max(goal.reorder_point - then, 0.0)
        # What is on order may be enough and come too late: then the days until it comes are bridged.
        tops_up = parameters.policy in ("order_up_to", "reorder_point")
        gap, more = _gap(short_without, when + lead, review, 0 if tops_up else lot_days)
        bridge = demand.quantile(gap, service)
        if bridge + more > wanted and bridge > tiny and receipts[when:].any():
            least, wanted = bridge, bridge + more
            if parameters.policy == "reorder_point" and lot > 0:
                wanted = math.ceil(wanted / lot - 1e-9) * lot
            # There is room until the late deliveries come.
            then -= float(receipts[min(when + int(np.median(lead)), days) :].sum())
        shelf = None
        if parameters.shelf_life_days is not None:
            shelf = demand.quantile(ahead[:, min(parameters.shelf_life_days, ahead.shape[1]) - 1], 0.5)
        rounded = policy.round_order(
            wanted,
            moq=parameters.moq or 0.0,
            multiple=parameters.order_multiple or (1.0 if inputs.whole else 0.0),
            position=then,
            max_stock=parameters.max_stock,
            shelf_life_demand=shelf,
            least=least,
        )
        quantity, note = rounded.quantity, rounded.note
    order_day = act if status == "order_soon" else 0

    # Without the order, and with it, until an order decided a week later could arrive.
    window = np.minimum(order_day + lead + WAIT_DAYS, days)
    arrival = np.minimum(order_day + lead, days)
    with_order, short_with = _replay(inputs.on_hand, receipts, running, quantity, arrival)
    if lot_days < WAIT_DAYS:
        # One lot does not last the week: those that follow it are part of the advice.
        _, short_with = _replay(inputs.on_hand, receipts, running, quantity, arrival, (lot, max(1, round(lot_days))))
    lost, lost_with = demand.over(short_without, window), demand.over(short_with, window)
    before = demand.over(short_without, arrival)
    p_without, p_with = float((lost > tiny).mean()), float((lost_with > tiny).mean())
    cover = _cover(running, inputs.on_hand)
    excess, threshold = _excess(running, lead, review, lot_days, position)
    daily = float(running[:, min(len(inputs.mean), days) - 1].mean() / min(len(inputs.mean), days))
    if status == "ok" and excess > EXCESS_DAYS * daily and excess > 0:
        status = "excess"
    lost_units = float(lost.mean())
    lost_money = lost_units * max(costs.margin, 0.0) if math.isfinite(costs.margin) else None
    excess_money = excess * costs.cost if math.isfinite(costs.cost) else None
    stock_value = inputs.on_hand * costs.cost if math.isfinite(costs.cost) else None
    safety = base["safety_stock"]
    expected_then = float(without[np.arange(count), np.minimum(lead, days - 1)].mean())
    figures = base | {
        "on_hand": inputs.on_hand,
        "on_order": on_order,
        "position": position,
        "order_note": note,
        "p_stockout": p_without,
        "p_stockout_with_order": p_with,
        "p_stockout_before_arrival": float((before > tiny).mean()),
        "lost_units": lost_units,
        "lost_units_with_order": float(lost_with.mean()),
        "lost_money": lost_money,
        "cover_days": cover,
        "out_days": _out(without, tiny),
        "excess_units": excess,
        "excess_money": excess_money,
        "excess_threshold": threshold,
        "carrying_cost_year": None if stock_value is None else stock_value * costs.holding_rate,
        "avoidable_carrying_cost_year": None if excess_money is None else excess_money * costs.holding_rate,
        "carrying_cost_month_of_order": (
            quantity * costs.cost * costs.holding_rate / 12 if math.isfinite(costs.cost) else None
        ),
        "implied_shortage_cost": (
            policy.implied_shortage_cost(policy.overage_cost(costs.cost, costs.holding_rate, max(review, 1)), service)
            if math.isfinite(costs.cost)
            else None
        ),
        "stock_value": stock_value,
        "dead": bool(cover is not None and cover > DEAD_DAYS),
        "stock_ahead": expected_then,
        "gauge": (min(inputs.on_hand, expected_then) - safety) / lot if lot > 0 else None,
        "order_by_days": wait,  # below 0: so many days too late already
        "quantity_days": quantity / daily if daily > 0 else None,
    }
    order_by = None if wait is None else inputs.business_date + timedelta(days=act)
    money = figures["avoidable_carrying_cost_year"] if status == "excess" else lost_money
    advice = Advice(
        product_category=inputs.product_category,
        status=status,
        money=money,
        order_quantity=quantity,
        order_by=order_by,
        sentence="",
        tags=inputs.tags,
        assumed=assumed,
        figures=figures,
        projection=_projection(inputs, receipts, without, with_order),
    )
    return replace(advice, sentence=sentence(advice, parameters))


def realised(ranks: np.ndarray, service: float) -> float | None:
    """Share of past weeks in which a reorder point of this service would have held; None when not measured."""
    known = ranks[np.isfinite(ranks)]
    return float((known <= service + 1e-9).mean()) if len(known) else None


def _costs(inputs: Inputs, parameters: Parameters, assumed: list[str]) -> Costs:
    holding = parameters.holding_rate
    if holding is None:
        holding = HOLDING_RATE
        assumed.append(f"holding cost {wording.percent(holding)} of its cost a year")
    price, cost = inputs.unit_price, parameters.unit_cost
    if cost is None:
        share = parameters.margin
        if share is None:
            share = MARGIN
            if math.isfinite(price):
                assumed.append(f"unit cost {wording.money(price * (1 - share))} (margin {wording.percent(share)})")
        cost = price * (1 - share)
    return Costs(price, cost, price - cost, holding)


def _lot(
    inputs: Inputs,
    parameters: Parameters,
    costs: Costs,
    running: np.ndarray,
    lead: np.ndarray,
    review: int,
    assumed: list[str],
) -> tuple[float, float, str]:
    """(units, days of demand, where they are from) an order is usually for: what was given ("given"), the economic lot
    when an order has a cost ("economic"), what deliveries have been ("deliveries"), or two weeks ("assumed")."""
    horizon = min(len(inputs.mean), running.shape[1])
    daily = float(running[:, horizon - 1].mean() / horizon)
    if parameters.lot is not None and parameters.lot > 0:
        units, source = parameters.lot, "given"
    elif parameters.order_cost and costs.holding_rate * costs.cost > 0:
        source = "economic"
        units = policy.economic_lot(parameters.order_cost, 365 * daily, costs.holding_rate * costs.cost)
    elif math.isfinite(inputs.usual_lot) and inputs.usual_lot > 0:
        units, source = inputs.usual_lot, "deliveries"
    else:
        units, source = DEFAULT_LOT_DAYS * daily, "assumed"
        assumed.append(f"an order lasts {DEFAULT_LOT_DAYS} days")
    if daily <= 0:
        return units, 0.0, source
    covered = min(max(units / daily, 1.0), MOST_LOT_DAYS)
    if parameters.policy != "cover":
        return units, covered, source
    # The days after the protection interval, at what they are expected to sell: season and promotions included.
    mean = running.mean(axis=0)
    start = min(round(float(lead.mean())) + review, len(mean) - 1)
    stop = min(start + round(covered), len(mean) - 1)
    expected = mean[stop] - mean[start]
    expected += daily * max(0, round(covered) - (stop - start))
    return float(expected), covered, source


def _latest(without: np.ndarray, lost: np.ndarray, lead: np.ndarray, service: float, tiny: float) -> int | None:
    """The last day (0: the business date) on which an order still arrives, with probability ``service``, before a
    stock-out that an order could prevent; below 0: it is too late already; None: not within the horizon. ``without``,
    ``lost`` (M, D): stock and units lost so far without the order, but with what is on order on the day it is due."""
    count, days = lost.shape
    day = np.arange(days)[None, :]
    short = np.diff(lost, axis=1, prepend=0.0) > tiny
    # What runs out before an order of today arrives, and is mended by a delivery, no order can prevent.
    concerned = short & (day >= lead[:, None])
    some = concerned.any(axis=1)
    first = np.where(some, concerned.argmax(axis=1), days)
    # The spell without stock began after the last day before it that ended with some.
    stocked = (without > tiny) & (day < first[:, None])
    last = np.where(stocked.any(axis=1), days - 1 - stocked[:, ::-1].argmax(axis=1), -1)
    begun = (short & (day > last[:, None])).argmax(axis=1)
    slack = np.where(some, begun - lead, np.inf)
    ordered = np.sort(slack)
    allowed = math.floor((1 - service) * count + 1e-9)  # so many paths may be short
    latest = ordered[min(allowed, count - 1)]
    return None if not math.isfinite(latest) else int(latest)


def _gap(lost: np.ndarray, arrival: np.ndarray, review: int, lot_days: float) -> tuple[np.ndarray, float]:
    """(units lost from the arrival of an order to the next one's (M,), expected units in the days a lot lasts after
    that): what this order could have served."""
    protected = demand.over(lost, arrival + review)
    later = demand.over(lost, arrival + review + max(round(lot_days), 0))
    return protected - demand.over(lost, arrival), float((later - protected).mean())


def _from(running: np.ndarray, start: int) -> np.ndarray:
    """Running sums that begin on day ``start``."""
    return running if start == 0 else running[:, start:] - running[:, start - 1 : start]


def _replay(
    on_hand: float,
    receipts: np.ndarray,
    running: np.ndarray,
    quantity: float = 0.0,
    arrival: np.ndarray | None = None,
    following: tuple[float, int] = (0.0, 1),
) -> tuple[np.ndarray, np.ndarray]:
    """(stock at the end of each day, units lost so far), (M, D) each: deliveries of a day come before its demand, what
    is not there is lost, not waited for. ``following``: units, and every how many days after ``arrival``."""
    net = on_hand + np.cumsum(receipts)[None, :] - running
    if quantity > 0 and arrival is not None:
        since = np.arange(running.shape[1])[None, :] - arrival[:, None]
        net = net + np.where(since >= 0, quantity + following[0] * (since // following[1]), 0.0)
    lost = np.maximum(-np.minimum.accumulate(net, axis=1), 0.0)
    return net + lost, lost


def _cover(running: np.ndarray, on_hand: float) -> float | None:
    """Days until the median of cumulative demand has used up the stock, beyond the horizon at its last four weeks'
    pace; None when nothing is expected to sell."""
    middle = np.median(running, axis=0)
    if middle[-1] > on_hand:
        return float(np.argmax(middle > on_hand))
    tail = min(28, len(middle) - 1)
    pace = (middle[-1] - middle[-1 - tail]) / tail if tail else middle[-1]
    return float(len(middle) + (on_hand - middle[-1]) / pace) if pace > 0 else None


def _out(without: np.ndarray, tiny: float) -> int | None:
    """The first day (0: the business date) that the shelf without an order is likelier to end empty than not, with what
    is on order arriving when it is due; None: not within the horizon. Units lost so far would not say so: once lost
    they stay, and paths that run out before a delivery and others that do after it add up."""
    likely = (without <= tiny).mean(axis=0) > 0.5
    return int(likely.argmax()) if likely.any() else None


def _excess(
    running: np.ndarray, lead: np.ndarray, review: int, lot_days: float, position: float
) -> tuple[float, float]:
    """(units beyond what is needed, what is needed): the 90 % quantile of demand until an order arrives and for what a
    lot lasts after that, at least two weeks."""
    days = np.minimum(lead + review + max(math.ceil(lot_days), TARGET_COVER_DAYS), running.shape[1])
    enough = demand.quantile(demand.over(running, days), 0.90)
    return max(0.0, position - enough), enough


def _projection(inputs: Inputs, receipts: np.ndarray, without: np.ndarray, with_order: np.ndarray) -> Projection:
    start = inputs.business_date
    horizon = len(inputs.mean)
    first_sunday = 6 - start.weekday()
    ends = np.arange(first_sunday, horizon, 7)
    weeks = [start + timedelta(days=int(end) - 6) for end in ends]
    cumulative = np.concatenate([[0.0], np.cumsum(receipts)])
    begins = np.maximum(ends - 6, 0)
    return Projection(
        weeks=weeks,
        receipts=cumulative[ends + 1] - cumulative[begins],
        quantiles=np.quantile(without[:, ends], QUANTILES, axis=0).T if len(ends) else np.zeros((0, 5)),
        ordered_q50=np.median(with_order[:, ends], axis=0) if len(ends) else np.zeros(0),
    )


def _unknown(inputs: Inputs, base: dict[str, Any], assumed: tuple[str, ...]) -> Advice:
    name = inputs.product_category
    if inputs.recent_daily <= 0 and not base["demand_mean"] > 0:
        said = f"{name} has sold nothing for four weeks and is not expected to: it needs no order."
        return Advice(name, "ok", None, 0.0, None, said, inputs.tags, assumed, base, None)
    if inputs.last_stock_day is None:
        said = f"Nothing is known about the stock of {name}: load inventory_daily for it to see what to order."
    else:
        said = (
            f"The stock of {name} was last recorded on {wording.day(inputs.last_stock_day)}: load newer "
            "inventory_daily to see what to order."
        )
    return Advice(name, "unknown", None, 0.0, None, said, inputs.tags, assumed, base, None)


def _whole(units: float, whole: bool) -> float:
    return float(math.ceil(units - 1e-9)) if whole else units


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
