"""Demand under stock-outs, against simulated stock-outs whose true demand is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from trendcast.inventory import lost_sales, receipts

DAYS = 900


@dataclass(frozen=True)
class Simulated:
    demand: np.ndarray
    sold: np.ndarray
    expected: np.ndarray  # a model that is a few percent off, and misses how the level wanders
    out: np.ndarray
    group: np.ndarray

    @property
    def truth(self) -> np.ndarray:
        return self.demand - self.sold


def simulate(seed: int, categories: int = 6, regions: int = 3) -> Simulated:
    """Clumpy demand with a week, promotions and a wandering level; stock runs out now and then, first only partly."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(categories), regions)
    week = 1 + 0.35 * np.sin(2 * np.pi * np.arange(DAYS) / 7)
    level = np.exp(np.cumsum(rng.normal(0, 0.015, (categories, DAYS)), axis=1))[group]
    size = rng.uniform(20, 80, len(group))[:, None]
    week = week * np.where(rng.random(DAYS) < 0.1, 1.5, 1.0)  # promotions
    shock = rng.gamma(60, 1 / 60, (categories, DAYS))[group]
    demand = rng.poisson(size * level * week * shock).astype(float)
    share = np.ones((categories, DAYS))
    for c in range(categories):
        for start in rng.choice(np.arange(60, DAYS - 20, 25), 14, replace=False):
            length = int(rng.integers(1, 6))
            share[c, start] = rng.uniform(0.2, 0.9)
            share[c, start + 1 : start + length] = 0.0
    sold = np.floor(demand * share[group])
    out = np.repeat(share < 1, regions, axis=0)
    expected = size * week * rng.uniform(0.95, 1.05, (len(group), 1)) * np.exp(0.5 * np.log(level))
    return Simulated(demand, sold, expected, out, group)


def test_recovered_demand_is_nearer_to_the_truth_than_the_usual_guess() -> None:
    """The usual guess: what the same weekday sold on average in the eight weeks before, less what was sold."""
    ours = guess = total = 0.0
    recovered = 0.0
    for seed in (1, 2, 3):
        world = simulate(seed)
        found = lost_sales.lost_units(world.sold, world.expected, world.out, world.group)
        kept = np.where(world.out, np.nan, world.sold)
        for c in np.unique(world.group):
            rows = world.group == c
            for day in np.flatnonzero(world.out[rows][0]):
                truth = world.truth[rows, day].sum()
                before = kept[rows][:, np.arange(day - 56, day, 7)].sum(axis=0)
                naive = max(np.nanmean(before) - world.sold[rows, day].sum(), 0)
                ours += abs(found[rows, day].sum() - truth)
                guess += abs(naive - truth)
                total += truth
        recovered += found.sum()
    assert ours / total < 0.15
    assert ours < 0.75 * guess
    assert recovered / total == pytest.approx(1, abs=0.08), "neither too much nor too little in all"


def test_nothing_is_lost_where_there_was_stock_and_never_less_than_nothing() -> None:
    world = simulate(4)
    found = lost_sales.lost_units(world.sold, world.expected, world.out, world.group)
    assert (found >= 0).all()
    assert (found[~world.out] == 0).all()
    assert found.dtype == np.float32


def test_a_day_that_sold_as_much_as_ever_lost_nothing_that_could_be_known() -> None:
    world = simulate(5)
    sold, out = world.sold.copy(), world.out.copy()
    day = 700
    out[world.group == 0, day] = True
    sold[world.group == 0, day] = 50 * world.demand[world.group == 0].max()
    found = lost_sales.lost_units(sold, world.expected, out, world.group)
    assert found[world.group == 0, day].sum() == 0


def test_too_few_days_with_stock_and_long_stock_outs_are_not_believed_much() -> None:
    sold = np.full((1, 400), 10.0)
    expected, out = np.full((1, 400), 10.0), np.zeros((1, 400), bool)
    out[0, 200:320] = True
    sold[0, 200:320] = 0
    found = lost_sales.lost_units(sold, expected, out, np.zeros(1, int))[0]
    assert found[205] == pytest.approx(10)
    assert found[260] < 5, "two months into a stock-out nobody knows what would be sold"
    assert found[260] > 0
    short = lost_sales.lost_units(sold[:, 190:210], expected[:, 190:210], out[:, 190:210], np.zeros(1, int))
    assert short.sum() == 0, "ten days with stock teach nothing"


def test_closed_and_missing_days_have_no_lost_sales_of_their_own() -> None:
    sold = np.full((2, 300), 10.0)
    expected, out = np.full((2, 300), 10.0), np.zeros((2, 300), bool)
    out[:, 250:255] = True
    sold[:, 250:255] = 0
    expected[:, 252] = 0.0  # closed
    sold[1, 253] = np.nan  # no row at all on a day without stock: nothing was sold
    found = lost_sales.lost_units(sold, expected, out, np.zeros(2, int))
    assert found[:, 252].sum() == 0
    assert found[1, 253] == pytest.approx(10)
    assert np.isfinite(found).all()


def test_without_a_model_weekdays_and_the_level_around_speak() -> None:
    rng = np.random.default_rng(6)
    weekday = np.arange(500) % 7
    mean = np.where(weekday == 5, 60.0, 30.0) * np.linspace(1, 2, 500)
    sold = rng.poisson(mean, (1, 500)).astype(float)
    out = np.zeros((1, 500), bool)
    out[0, 400:404] = True
    expected = lost_sales.plain_expectation(np.where(out, 0, sold), out, weekday)
    assert expected[0, 400:404] == pytest.approx(mean[400:404], rel=0.12)
    assert lost_sales.plain_expectation(np.full((1, 30), np.nan), np.zeros((1, 30), bool), np.arange(30) % 7).sum() == 0


def test_deliveries_are_what_stock_and_sales_imply() -> None:
    stock = np.array([100.0, 90, 80, 130, 120, 110, 103])
    sold = np.array([5.0, 10, 10, 10, 10, 10, 2])
    found = receipts.infer(stock, sold)
    assert found.units.tolist() == [0, 0, 0, 60, 0, 0, 0]
    assert found.lot == 60
    assert found.residual == pytest.approx(5 / 52), "five units vanished on the last day"
    assert found.trusted
    assert found.days == 6


def test_deliveries_of_days_that_nobody_recorded_are_not_made_up() -> None:
    stock = np.array([100.0, np.nan, 60, 55])
    sold = np.array([5.0, 10, 10, 5])
    found = receipts.infer(stock, sold)
    assert found.units.sum() == 0
    assert np.isnan(found.lot)
    nothing = receipts.infer(np.array([]), np.array([]))
    assert (nothing.days, nothing.units.size) == (0, 0)
    assert np.isnan(nothing.residual)


def test_stock_is_rolled_forward_and_never_below_nothing() -> None:
    assert receipts.roll_forward(100, np.array([30.0, np.nan, 20]), 15) == 65
    assert receipts.roll_forward(10, np.array([30.0]), 0) == 0
