"""The advice for one category: against slow counting on the same paths, and laws that every advice obeys."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trendcast.errors import InvalidInput
from trendcast.inventory import demand
from trendcast.inventory.inputs import Inputs, Parameters
from trendcast.inventory.recommend import _latest, _replay, recommend_one

TODAY = date(2026, 10, 1)  # a Thursday
RNG = np.random.default_rng(42)
BLOCKS = RNG.gamma(40, 1 / 40, (13, 1)) * RNG.gamma(10, 1 / 10, (13, 91))
POOL = RNG.normal(0, 1, (60, 91)).astype(np.float32)
WEIGHT = np.ones(60)


def category(**changes: object) -> Inputs:
    """Sells 20 a day, has 400 on hand, is delivered after 7 to 14 days."""
    usual = Inputs(
        product_category="Toys",
        business_date=TODAY,
        mean=np.full(91, 20.0),
        own=BLOCKS,
        own_weight=np.ones(13),
        scale=0.12,
        seed=5,
        ranks=np.linspace(0.01, 0.99, 52),
        lead_times=np.array([7.0, 7, 8, 10, 14]),
        lead_time_source="orders",
        on_hand=400.0,
        last_stock_day=TODAY - timedelta(days=1),
        receipts=np.zeros(91),
        reorder_point_now=250.0,
        usual_lot=280.0,
        unit_price=10.0,
        service_class="B",
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def advise(inputs: Inputs | None = None, **parameters: object):  # type: ignore[no-untyped-def]
    return recommend_one(inputs or category(), POOL, WEIGHT, Parameters(**parameters))  # type: ignore[arg-type]


def drawn(inputs: Inputs, days: int = 91) -> tuple[np.ndarray, np.ndarray]:
    path = demand.paths(inputs.mean, inputs.own, inputs.own_weight, POOL, WEIGHT, inputs.scale, inputs.seed, days=days)
    return path, demand.draw_lead_times(inputs.lead_times, 1.0, inputs.seed)


def test_risk_with_and_without_the_order_is_what_day_by_day_counting_gives() -> None:
    inputs = category(on_hand=190.0, receipts=np.r_[0, 0, 0, 60.0, np.zeros(87)])
    found = advise(inputs, target_service=0.95)
    assert found.status == "order_now"
    path, lead = drawn(inputs)
    for quantity, chance, lost in (
        (0.0, "p_stockout", "lost_units"),
        (found.order_quantity, "p_stockout_with_order", "lost_units_with_order"),
    ):
        short = np.zeros(len(path))
        for m in range(len(path)):
            stock = 190.0
            for day in range(int(lead[m]) + 7):
                stock += inputs.receipts[day] + (quantity if day == lead[m] else 0.0)
                short[m] += max(path[m, day] - stock, 0.0)
                stock = max(stock - path[m, day], 0.0)
        assert found.figures[chance] == pytest.approx((short > 1e-6).mean(), abs=0.002)
        assert found.figures[lost] == pytest.approx(short.mean(), rel=1e-4)
    assert found.figures["p_stockout_with_order"] < found.figures["p_stockout"]
    assert found.figures["lost_money"] == pytest.approx(found.figures["lost_units"] * 3.5)


def test_small_lots_are_judged_with_those_that_follow() -> None:
    """Delivered every two days: one lot cannot last a week, so without its followers every order would look useless."""
    found = advise(category(on_hand=280.0, lead_times=np.array([7.0])), lot=40.0, target_service=0.95)
    assert found.order_quantity < 7 * 20
    assert found.figures["p_stockout"] > 0.3
    assert found.figures["p_stockout_with_order"] < 0.5 * found.figures["p_stockout"]


@pytest.mark.parametrize("on_hand", [80.0, 190.0, 260.0, 400.0, 900.0])
def test_order_by_is_the_last_day_on_which_an_order_comes_in_time(on_hand: float) -> None:
    inputs = category(on_hand=on_hand)
    found = advise(inputs, target_service=0.95)
    path, lead = drawn(inputs)

    def in_time(day: int) -> float:
        needed = [path[m, : max(day + lead[m], 0)].sum() for m in range(len(path))]
        return float((np.array(needed) <= on_hand).mean())

    days = found.figures["order_by_days"]
    if days >= 0:
        assert in_time(days) >= 0.95
        assert found.order_by == TODAY + timedelta(days=days)
    else:
        assert found.order_by == TODAY
    assert in_time(days + 1) < 0.95
    assert found.status == ("order_now" if days < 1 else "order_soon" if days <= 7 else found.status)


def test_an_order_is_due_exactly_when_the_position_is_at_the_reorder_point() -> None:
    """Daily review: order now if and only if stock and orders do not reach the quantile over lead time and a day."""
    level = advise(category(on_hand=1000.0), target_service=0.95).figures["reorder_point"]
    assert advise(category(on_hand=level + 1), target_service=0.95).status != "order_now"
    assert advise(category(on_hand=level - 1), target_service=0.95).status == "order_now"
    on_order = np.r_[np.zeros(5), level + 1, np.zeros(85)]
    assert advise(category(on_hand=0.0, receipts=on_order), target_service=0.95).status != "order_now"


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1500), st.lists(st.floats(0.5, 0.995), min_size=2, max_size=2, unique=True))
def test_more_service_never_means_less_stock(on_hand: float, wanted: list[float]) -> None:
    low, high = (advise(category(on_hand=on_hand), target_service=t) for t in sorted(wanted))
    assert low.figures["reorder_point"] <= high.figures["reorder_point"]
    assert low.figures["safety_stock"] <= high.figures["safety_stock"]
    assert (low.order_by or date.max) >= (high.order_by or date.max)
    if low.status == high.status == "order_now":
        assert low.order_quantity <= high.order_quantity
        assert low.figures["p_stockout_with_order"] >= high.figures["p_stockout_with_order"] - 1e-9


@pytest.mark.parametrize("policy", ["cover", "min_max", "reorder_point", "order_up_to"])
def test_ten_times_the_units_are_ten_times_the_order(policy: str) -> None:
    small, large = (
        advise(
            category(
                mean=np.full(91, 20.0) * size, on_hand=100.0 * size, usual_lot=280.0 * size, whole=False,
                unit_price=10.0 / size,
            ),
            policy=policy, moq=50.0 * size, order_multiple=12.0 * size,
        )
        for size in (1, 10)
    )  # fmt: skip
    assert small.order_quantity > 0
    assert large.order_quantity == pytest.approx(10 * small.order_quantity, rel=1e-6)
    assert large.money == pytest.approx(small.money, rel=1e-4)
    assert large.order_by == small.order_by


def test_what_is_lost_is_neither_delivered_nor_kept() -> None:
    """Stock at the end = stock before + delivered - sold, on every day of every path; lost sales never come back."""
    rng = np.random.default_rng(1)
    path = rng.poisson(20, (50, 40)).astype(float)
    coming = np.where(rng.random(40) < 0.1, 150.0, 0.0)
    arrival = rng.integers(5, 20, 50)
    stock, lost = _replay(120.0, coming, np.cumsum(path, axis=1), 90.0, arrival)
    before = np.column_stack([np.full(50, 120.0), stock[:, :-1]])
    delivered = coming[None, :] + 90.0 * (np.arange(40)[None, :] == arrival[:, None])
    today = np.diff(lost, axis=1, prepend=0.0)
    assert (today >= -1e-9).all()
    assert stock == pytest.approx(before + delivered - (path - today))
    assert (stock >= -1e-9).all()
    assert today == pytest.approx(np.maximum(path - before - delivered, 0))


def test_cover_follows_the_forecast_not_the_past() -> None:
    """A promotion ahead empties the shelf sooner than a trailing mean says."""
    calm = advise(category(on_hand=400.0)).figures["cover_days"]
    loud = advise(category(on_hand=400.0, mean=np.r_[np.full(14, 60.0), np.full(77, 20.0)])).figures["cover_days"]
    assert calm == pytest.approx(20, abs=1)
    assert loud == pytest.approx(6, abs=1)
    long = advise(category(on_hand=20 * 365.0)).figures
    assert long["cover_days"] == pytest.approx(365, rel=0.05)
    assert long["dead"]


def test_too_much_stock_says_what_it_costs_and_orders_nothing() -> None:
    found = advise(category(on_hand=3000.0), unit_cost=4.0, holding_rate=0.2)
    assert found.status == "excess"
    assert found.order_quantity == 0
    excess = found.figures["excess_units"]
    assert excess == pytest.approx(3000 - found.figures["excess_threshold"])
    assert found.figures["excess_money"] == pytest.approx(4 * excess)
    assert found.money == found.figures["avoidable_carrying_cost_year"] == pytest.approx(0.8 * excess)
    assert "order nothing" in found.sentence


def test_projection_shows_what_is_on_order_and_what_the_order_would_do() -> None:
    receipts = np.zeros(91)
    receipts[10] = 500.0
    found = advise(category(on_hand=150.0, receipts=receipts, usual_lot=600.0), target_service=0.98)
    weeks = found.projection
    assert weeks.weeks[0] == date(2026, 9, 28)
    assert all(week.weekday() == 0 for week in weeks.weeks)
    assert len(weeks.weeks) == 13
    assert weeks.receipts.tolist() == [0, 500] + [0] * 11
    assert (np.diff(weeks.quantiles, axis=1) >= 0).all()
    assert (weeks.quantiles >= 0).all()
    assert (weeks.ordered_q50 >= weeks.quantiles[:, 2] - 1e-6).all()


def test_assumptions_are_named_and_go_when_somebody_says_better() -> None:
    usual = advise()
    assert any("margin 35" in one for one in usual.assumed)
    assert any("holding cost 25" in one for one in usual.assumed)
    assert any("target service 95" in one and "class B" in one for one in usual.assumed)
    told = advise(unit_cost=6.0, holding_rate=0.2, target_service=0.9, lot=100.0)
    assert told.assumed == ()
    nothing = advise(category(lead_times=np.zeros(0), usual_lot=np.nan))
    assert any("lead time 14 days" in one for one in nothing.assumed)
    assert any("an order lasts 14 days" in one for one in nothing.assumed)


def test_economic_lot_when_an_order_has_a_cost() -> None:
    found = advise(category(on_hand=0.0), order_cost=50.0, unit_cost=6.5, holding_rate=0.25, policy="min_max")
    daily = found.figures["lot"] / found.figures["lot_days"]
    assert found.figures["lot"] == pytest.approx(np.sqrt(2 * 50 * 365 * daily / (0.25 * 6.5)))


def test_without_prices_there_is_no_money_and_everything_else() -> None:
    found = advise(category(on_hand=50.0, unit_price=np.nan))
    assert found.money is None
    assert found.figures["lost_money"] is None
    assert found.figures["lost_units"] > 0
    assert found.order_quantity > 0
    assert "margin" not in found.sentence
    assert "nan" not in found.sentence.lower()


def test_unknown_stock_is_said_and_nothing_is_ordered() -> None:
    never = advise(category(on_hand=None, last_stock_day=None, recent_daily=20.0))
    old = advise(category(on_hand=None, last_stock_day=date(2026, 5, 3), recent_daily=20.0))
    for found in (never, old):
        assert (found.status, found.order_quantity, found.order_by, found.projection) == ("unknown", 0.0, None, None)
        assert found.figures["reorder_point"] > 0, "what would be needed is known all the same"
    assert "Nothing is known about the stock of Toys" in never.sentence
    assert "Sun 3 May 2026" in old.sentence


def test_what_has_ended_needs_no_stock_data() -> None:
    found = advise(category(on_hand=None, last_stock_day=date(2026, 5, 3), mean=np.zeros(91)))
    assert (found.status, found.order_quantity) == ("ok", 0.0)
    assert "it needs no order" in found.sentence


def test_no_quantity_follows_from_a_tag() -> None:
    plain = advise(category(on_hand=100.0))
    tagged = advise(category(on_hand=100.0, tags=("GROWTH", "HIGH UNCERTAINTY")))
    assert tagged.order_quantity == plain.order_quantity
    assert tagged.sentence == "GROWTH, HIGH UNCERTAINTY: " + plain.sentence


def test_the_sentence_says_what_when_what_for_and_at_what_cost() -> None:
    found = advise(
        category(on_hand=210.0, drivers=("promotion in the week of 5 Oct (+31 %)",)),
        target_service=0.95, order_multiple=12.0, unit_cost=6.5,
    )  # fmt: skip
    said = found.sentence
    cases = round(found.order_quantity / 12)
    assert said.startswith(f"Order {found.order_quantity:,.0f}\u202funits ({cases} cases) of Toys ")
    assert re.search(r"Without it: \d+\u202f% chance of a stock-out before the next possible arrival", said)
    assert "expected loss" in said
    assert "margin; with it" in said
    assert "Extra carrying cost" in said
    assert "Main drivers: promotion in the week of 5 Oct (+31 %)." in said
    assert "of the last 52 weeks (aim 95\u202f%)" in said


def test_an_order_that_is_late_says_how_late_and_what_it_cannot_mend() -> None:
    found = advise(category(on_hand=40.0), target_service=0.95)
    days = -found.figures["order_by_days"]
    assert days > 1
    assert f"now, {days} days late" in found.sentence
    assert "Most of that risk lies before it can arrive" in found.sentence
    assert found.figures["p_stockout_before_arrival"] > 0.9


def test_what_an_order_does_not_prevent_is_said_beside_what_happens_without_it() -> None:
    late = advise(category(on_hand=40.0), target_service=0.95)
    left, lost = late.figures["lost_units_with_order"], late.figures["lost_units"]
    assert left > 0.25 * lost
    assert f"units / {left / lost * late.figures['lost_money']:,.0f} margin. Most of" in late.sentence.replace(
        "\u202f", " "
    )
    timely = advise(category(on_hand=260.0), target_service=0.95)
    assert timely.order_quantity > 0
    assert re.search(r"; with it (under )?\d+\u202f%\. ", timely.sentence)


def test_an_empty_shelf_is_no_matter_of_chance() -> None:
    empty = category(on_hand=0.0, receipts=np.r_[0, 0, 200.0, np.zeros(88)])
    found = advise(empty, target_service=0.95)
    assert found.order_quantity > 0
    assert "It is out of stock now" in found.sentence
    assert "chance of a stock-out before" not in found.sentence
    assert found.figures["out_days"] == 0
    waits = advise(replace(empty, receipts=np.r_[0, 0, 550.0, np.zeros(88)]), target_service=0.95).sentence
    assert "needs no order before" in waits
    assert "0\u202funits on hand, and 550 on order. It is out of stock now" in waits


def test_the_day_the_shelf_is_likely_empty_counts_what_is_on_order_when_it_is_due() -> None:
    gap = category(on_hand=70.0, receipts=np.r_[np.zeros(6), 2000.0, np.zeros(84)])
    assert advise(gap).figures["out_days"] in (3, 4)
    assert advise(replace(gap, receipts=np.r_[1000.0, np.zeros(90)])).figures["out_days"] > 40
    assert advise(replace(gap, on_hand=9000.0)).figures["out_days"] is None


def test_chances_to_run_out_before_a_delivery_and_after_it_make_no_empty_shelf_together() -> None:
    """Nearly half of the paths run out before a delivery of a month's sales, others weeks after it."""
    one = category(on_hand=199.0, receipts=np.r_[np.zeros(10), 640.0, np.zeros(80)])
    found = advise(one)
    path, _ = drawn(one)
    stock, lost = _replay(199.0, one.receipts, np.cumsum(path, axis=1))
    empty = (stock < 1e-6).mean(axis=0)
    out = found.figures["out_days"]
    assert (lost[:, 9] > 0).mean() > 0.4
    assert np.argmax((lost > 0).mean(axis=0) > 0.5) < out - 3
    assert empty[out] > 0.5 >= empty[:out].max()


@pytest.mark.parametrize(
    ("parameters", "usual", "source"),
    [({"lot": 90.0}, 280.0, "given"), ({"order_cost": 8.0}, 280.0, "economic"), ({}, 280.0, "deliveries"),
     ({}, np.nan, "assumed")],
)  # fmt: skip
def test_an_order_size_says_where_it_is_from(parameters: dict[str, float], usual: float, source: str) -> None:
    assert advise(category(usual_lot=usual), **parameters).figures["lot_source"] == source


def test_realised_service_counts_past_weeks() -> None:
    ranks = np.r_[np.full(45, 0.5), np.full(5, 0.97), [np.nan, np.nan]]
    assert advise(category(ranks=ranks), target_service=0.95).figures["realised_service"] == pytest.approx(0.9)
    assert advise(category(ranks=ranks), target_service=0.98).figures["realised_service"] == 1.0
    assert advise(category(ranks=ranks)).figures["realised_weeks"] == 50
    assert advise(category(ranks=np.zeros(0))).figures["realised_service"] is None


def test_stored_inputs_give_the_same_advice_within_a_tenth_of_a_second() -> None:
    inputs = category(on_hand=222.0, drivers=("season (+8 %)",), residual=float("nan"))
    again = Inputs.from_bytes(inputs.to_bytes())
    assert np.isnan(again.residual)
    one, other = advise(inputs), advise(again)
    assert one.order_quantity == pytest.approx(other.order_quantity, abs=1)
    assert (one.status, one.order_by, one.assumed) == (other.status, other.order_by, other.assumed)
    took = []
    for _ in range(3):
        start = time.perf_counter()
        advise(Inputs.from_bytes(inputs.to_bytes()), lead_time_factor=1.25)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.1


def test_service_and_fill_rate_are_not_the_same() -> None:
    """Half of the cycles without a stock-out still serve nearly all demand: what is short of a cycle is little."""
    half = advise(target_service=0.5).figures
    assert 0.8 < half["fill_rate"] < 0.99
    assert half["fill_rate"] < advise(target_service=0.95).figures["fill_rate"] < 1


def test_a_longer_lead_time_orders_earlier_and_more() -> None:
    near, far = advise(category(on_hand=600.0)), advise(category(on_hand=600.0), lead_time_factor=1.5)
    assert near.order_by > far.order_by
    assert near.figures["reorder_point"] < far.figures["reorder_point"]


def test_lead_times_beyond_the_forecast_are_served_too() -> None:
    found = advise(category(lead_times=np.array([120.0]), on_hand=500.0))
    assert found.figures["demand_mean"] == pytest.approx(121 * 20, rel=0.1)
    assert found.status == "order_now"


def test_a_category_nobody_buys_needs_nothing() -> None:
    found = advise(category(mean=np.zeros(91), on_hand=10.0, usual_lot=np.nan))
    assert found.order_quantity == 0
    assert found.figures["cover_days"] is None
    assert "nan" not in found.sentence.lower()


def test_short_shelf_life_limits_the_order() -> None:
    free = advise(category(on_hand=0.0), lot=2000.0, policy="min_max")
    limited = advise(category(on_hand=0.0), lot=2000.0, policy="min_max", shelf_life_days=21)
    assert limited.order_quantity < free.order_quantity
    assert limited.order_quantity == pytest.approx(21 * 20, rel=0.1)
    assert "limited by the shelf life" in limited.sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target_service", 1.0), ("target_service", 0.0), ("lead_time_factor", 0.0), ("review_days", 0),
        ("policy", "guess"), ("moq", -1.0), ("moq", float("nan")), ("margin", 1.0), ("shelf_life_days", 0),
    ],
)  # fmt: skip
def test_parameters_nobody_can_mean_are_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidInput):
        Parameters().changed({name: value})


def test_an_unknown_parameter_is_named() -> None:
    with pytest.raises(InvalidInput, match="'servise' is not a parameter"):
        Parameters().changed({"servise": 0.9})


def test_latest_day_is_open_when_demand_never_reaches_the_stock() -> None:
    without, lost = _replay(1000.0, np.zeros(20), np.cumsum(np.ones((10, 20)), axis=1))
    assert _latest(without, lost, np.full(10, 3), 0.95, 1e-9) is None


# --- what is on order counts from the day it comes ------------------------------------------------------------------


def coming(units: float, day: int) -> np.ndarray:
    return np.where(np.arange(91) == day, units, 0.0)


@pytest.mark.parametrize("policy", ["cover", "min_max", "reorder_point", "order_up_to"])
@pytest.mark.parametrize(("on_hand", "units", "day"), [(0.0, 200.0, 14), (20.0, 300.0, 20), (0.0, 4000.0, 60)])
def test_what_comes_after_the_lead_time_keeps_nobody_from_ordering(
    on_hand: float, units: float, day: int, policy: str
) -> None:
    found = advise(category(on_hand=on_hand, receipts=coming(units, day), lead_times=np.array([3.0])), policy=policy)
    assert found.figures["p_stockout"] == 1.0
    assert found.status == "order_now"
    assert found.order_by == TODAY
    assert 20 <= found.order_quantity <= 20 * 18, "for the days until it comes, not for all that comes"
    without = advise(category(on_hand=on_hand, lead_times=np.array([3.0])), policy=policy)
    assert found.order_quantity <= without.order_quantity


def test_late_goods_leave_room_until_they_come() -> None:
    late = category(on_hand=0.0, receipts=coming(4000.0, 60), lead_times=np.array([3.0]))
    assert advise(late, max_stock=900.0).order_quantity == advise(late).order_quantity > 0


def test_a_stock_out_that_a_delivery_mends_before_an_order_could_is_told_and_not_ordered_for() -> None:
    found = advise(category(on_hand=5.0, receipts=coming(600.0, 4), lead_times=np.array([7.0])), target_service=0.95)
    assert (found.status, found.order_quantity) == ("ok", 0.0)
    assert found.order_by > TODAY + timedelta(days=14)
    assert "over 99\u202f% chance of a stock-out before an order of today could arrive: ask for" in found.sentence


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 800), st.floats(0, 3000), st.integers(0, 90), st.integers(1, 30))
def test_nothing_is_ok_while_stock_runs_out_before_the_next_delivery(
    on_hand: float, units: float, day: int, lead: int
) -> None:
    stock = category(on_hand=on_hand, receipts=coming(units, day), lead_times=np.array([float(lead)]))
    found = advise(stock, target_service=0.95)
    if lead < day and found.figures["p_stockout"] > 0.05:
        assert found.status in ("order_now", "order_soon")
        assert found.order_quantity > 0
    days = found.figures["order_by_days"]
    if days is None or days < 0:
        return

    def unprevented(ordered: int) -> float:
        """Share of paths that lose sales on a day an order of today could have served, and one of that day cannot."""
        path, _ = drawn(stock)
        short = np.zeros(len(path), bool)
        left = np.full(len(path), on_hand)
        for at in range(min(ordered + lead, 91)):
            left = left + (units if at == day else 0.0)
            short |= (path[:, at] - left > 1e-4) & (at >= lead)
            left = np.maximum(left - path[:, at], 0.0)
        return float(short.mean())

    assert unprevented(days) <= 0.05
    if days + 1 + lead <= 91:
        assert unprevented(days + 1) > 0.05


def test_lead_times_that_are_cut_are_named() -> None:
    long = category(lead_times=np.array([250.0]))
    assert "no delivery takes longer than 182 days" in advise(long).assumed
    assert not any("no delivery" in one for one in advise(category(lead_times=np.array([182.0]))).assumed)
