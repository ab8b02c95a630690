"""Order policies and service measures against textbook values, brute force and laws that must hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trendcast.inventory import policy
from trendcast.inventory.demand import quantile


def test_newsvendor_of_the_textbook() -> None:
    """Snyder and Shen: demand N(120, 10), a unit left costs 2, a unit short 18."""
    samples = np.random.default_rng(1).normal(120, 10, 200_000)
    best, cost = policy.newsvendor(samples, 18, 2)
    assert best == pytest.approx(132.82, abs=0.15)
    assert cost == pytest.approx(35.10, abs=0.3)


def test_no_other_stock_costs_less_than_the_newsvendors() -> None:
    demand = np.random.default_rng(2).poisson(30, 5000).astype(float)
    best, cost = policy.newsvendor(demand, 7.0, 1.5)
    others = [1.5 * np.maximum(s - demand, 0).mean() + 7 * np.maximum(demand - s, 0).mean() for s in range(80)]
    assert cost == pytest.approx(min(others))
    assert best == int(np.argmin(others))


def test_economic_lot_of_the_textbook_and_what_another_lot_costs() -> None:
    best = policy.economic_lot(8, 1300, 0.225)
    assert best == pytest.approx(304.05, abs=0.005)
    assert policy.lot_cost_ratio(1.5 * best, best) == pytest.approx(1.083, abs=0.001)
    assert policy.lot_cost_ratio(0.5 * best, best) == pytest.approx(1.25)


def normal_shortage(mean: float, deviation: float, level: float) -> float:
    """E[(D - level)+] of normal demand D, in closed form."""
    z = (level - mean) / deviation
    return deviation * (math.exp(-z * z / 2) / math.sqrt(2 * math.pi) - z * math.erfc(z / math.sqrt(2)) / 2)


def test_fill_rate_of_a_reorder_point_is_what_years_of_backorders_show() -> None:
    """(r, Q) with backorders, normal demand over the lead time: every order a cycle, short by what exceeds r."""
    mean, deviation, point, lot = 108.33, 43.30, 150.0, 304.05
    rng = np.random.default_rng(3)
    over = rng.normal(mean, deviation, 2_000_000)
    # Backorders that one lot cannot clear are the next cycle's, so they are not counted twice.
    short = np.maximum(over - point, 0) - np.maximum(over - point - lot, 0)
    slow = 1 - short.mean() / lot
    gone = normal_shortage(mean, deviation, point) - normal_shortage(mean, deviation, point + lot)
    assert 1 - gone / lot == pytest.approx(slow, abs=2e-4)
    assert policy.fill_rate(over[:200_000], point, lot) == pytest.approx(slow, abs=1e-3)


def test_lost_sales_fill_rate_is_what_customers_who_come_one_by_one_meet() -> None:
    """Customers buy one unit each, so that an order leaves exactly at the reorder point; what is not there is lost."""
    rng = np.random.default_rng(4)
    lead, lot, point = 6.0, 300.0, 70.0
    samples = rng.poisson(12 * lead, 100_000).astype(float)
    stock, coming, served = lot, math.inf, 0
    times = np.cumsum(rng.exponential(1 / 12, 300_000)).tolist()
    for now in times:
        if now >= coming:
            stock, coming = stock + lot, math.inf
        if stock > 0:
            stock, served = stock - 1, served + 1
            if stock == point:
                coming = now + lead
    assert policy.fill_rate_lost_sales(samples, point, lot) == pytest.approx(served / len(times), abs=0.003)


def test_periodic_fill_rate_is_that_of_its_periods() -> None:
    rng = np.random.default_rng(5)
    lead = rng.poisson(60, 400_000).astype(float)
    review = rng.poisson(70, 400_000).astype(float)
    level = 140.0
    short = np.maximum(lead + review - level, 0) - np.maximum(lead - level, 0)
    assert policy.fill_rate_periodic(lead + review, lead, review, level) == pytest.approx(
        1 - short.mean() / review.mean()
    )


def test_a_target_says_what_a_lost_unit_is_worth() -> None:
    """Cost 10, 25 % a year, a week: 0.048 a unit; 97 % then values a lost unit at 1.55; margin 4 asks for 98.8 %."""
    overage = policy.overage_cost(10, 0.25, 7)
    assert overage == pytest.approx(0.048, abs=0.0005)
    assert policy.implied_shortage_cost(overage, 0.97) == pytest.approx(1.55, abs=0.005)
    assert 4 / (4 + overage) == pytest.approx(0.988, abs=0.0005)


@pytest.mark.parametrize("name", policy.POLICIES)
@settings(max_examples=60, deadline=None)
@given(position=st.floats(0, 400), lot=st.floats(10, 300), service=st.floats(0.5, 0.99))
def test_policies_order_only_at_or_below_the_reorder_point(
    name: str, position: float, lot: float, service: float
) -> None:
    demand = np.random.default_rng(6).poisson(150, 1000).astype(float)
    found = policy.target_position(name, position, demand, service, lot)
    assert found.reorder_point == quantile(demand, service)
    assert found.wanted >= 0
    if position > found.reorder_point:
        assert found.wanted == 0
    if position < found.reorder_point - 1e-6:
        assert position + found.wanted >= found.reorder_point - 1e-6
    if name == "reorder_point" and found.wanted:
        assert found.wanted / lot == pytest.approx(round(found.wanted / lot))


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="order_up_to"):
        policy.target_position("guess", 1.0, np.ones(3), 0.9, 1.0)


@settings(max_examples=300, deadline=None)
@given(
    wanted=st.floats(0, 5000),
    moq=st.sampled_from([0.0, 1.0, 50.0, 240.0]),
    multiple=st.sampled_from([0.0, 1.0, 6.0, 24.0]),
    position=st.floats(0, 3000),
    cap=st.none() | st.floats(0, 6000),
    life=st.none() | st.floats(0, 6000),
)
def test_an_order_is_nothing_or_what_the_supplier_takes(
    wanted: float, moq: float, multiple: float, position: float, cap: float | None, life: float | None
) -> None:
    found = policy.round_order(
        wanted, moq=moq, multiple=multiple, position=position, max_stock=cap, shelf_life_demand=life
    )
    if wanted == 0:
        assert found.quantity == 0
    if found.quantity == 0:
        assert wanted == 0 or found.note, "an order that is dropped says why"
        return
    assert found.quantity >= moq
    if multiple:
        assert found.quantity / multiple == pytest.approx(round(found.quantity / multiple), abs=1e-6)
    fits = all(limit is None or position + found.quantity <= limit + 1e-6 for limit in (cap, life))
    assert fits or "minimum exceeds" in found.note
    if not found.note and multiple:
        assert abs(found.quantity - wanted) <= multiple


def test_cases_are_rounded_where_it_costs_less_but_never_below_what_is_needed() -> None:
    assert policy.round_order(100.0, multiple=24).quantity == 96  # always up would add half a case on average
    assert policy.round_order(112.0, multiple=24).quantity == 120
    assert policy.round_order(100.0, multiple=24, least=97).quantity == 120
