"""Living the past through again: injections are what they say, and scores are what a hand count gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.anomalies.scenes import FIRST, noisy, scene
from trendcast.anomalies import evaluate as replays
from trendcast.anomalies import evaluate_scores as scores
from trendcast.anomalies.evaluate import Case, Lived, World

FIRST_JUDGED, DAYS = 240, 296
NO_EVENTS = pd.DataFrame({"date_id": pd.to_datetime([]), "region": [], "event": []})


@pytest.fixture(scope="module")
def world() -> World:
    made = scene(noisy(24, DAYS, sd=0.05), regions=4)
    return World(made, NO_EVENTS, lambda units: np.full(units.shape, np.nan), FIRST_JUDGED)


@pytest.fixture(scope="module")
def usual(world: World) -> Lived:
    return replays.replay(world)


def case(kind: str, size: float, start: int, days: int = 1, row: int = 0) -> Case:
    return Case(kind, size, start, days, (row,))


def test_injections_change_only_what_they_name_and_few_days_begin_one(world: World) -> None:
    units, cases = replays.inject(world, np.random.default_rng(1), rate=0.01)
    touched = np.zeros(units.shape, bool)
    for one in cases:
        touched[list(one.rows), one.start : one.start + one.days] = True
    before = world.scene.units
    wide = [one.region for one in cases if one.region]
    assert len(wide) == len(set(wide)) == 2  # half of the regions have one each
    assert set(wide) < {"R0", "R1", "R2", "R3"}
    assert len(cases) > len(wide)
    assert ((units == before) | touched).all()
    assert not touched[:, :FIRST_JUDGED].any()
    single = [one for one in cases if not one.region]
    assert len(single) <= 0.01 * 24 * (DAYS - FIRST_JUDGED) * 2
    for one in single:
        mine = [other for other in single if other.rows == one.rows and other is not one]
        assert all(abs(other.start - one.start) >= replays.APART for other in mine)


def test_counts_are_thinned_and_added_to_not_rounded() -> None:
    rng = np.random.default_rng(2)
    halved = replays.scaled(np.full(20_000, 50.0), 0.5, rng)
    assert halved.mean() == pytest.approx(25, abs=0.2)
    assert halved.var() == pytest.approx(12.5, rel=0.1)  # binomial
    more = replays.scaled(np.full(20_000, 50.0), 1.5, rng)
    assert more.mean() == pytest.approx(75, abs=0.2)
    assert more.var() == pytest.approx(25, rel=0.1)  # what was added is Poisson
    assert np.isnan(replays.scaled(np.array([np.nan, 3.0]), 0.5, rng)[0])


def test_closed_days_are_left_alone(world: World) -> None:
    closed = np.zeros(world.scene.units.shape, bool)
    closed[:, ::2] = True
    shut = replace(world, scene=replace(world.scene, closed=closed))
    units, cases = replays.inject(shut, np.random.default_rng(3), ("drop", "spike", "shift"), rate=0.01)
    assert cases
    assert (units[closed] == world.scene.units[closed]).all()


def test_a_day_is_judged_alike_whatever_happens_after_it(world: World, usual: Lived) -> None:
    units = world.scene.units.copy()
    units[:, 280:] *= 3  # in a later block
    later = replays.replay(world, units)
    judged = slice(FIRST_JUDGED, 268)
    np.testing.assert_array_equal(later.p[:, judged], usual.p[:, judged])
    np.testing.assert_array_equal(later.own[:, judged], usual.own[:, judged])


def test_what_is_injected_is_in_the_history_of_later_days(world: World, usual: Lived) -> None:
    units = world.scene.units.copy()
    units[3, 250:264] *= 2
    after = replays.replay(world, units).mean[3, 264]  # the next day: the fortnight before it is doubled
    assert after > 1.3 * usual.mean[3, 264]


def test_a_large_drop_is_found_the_same_day_and_named(world: World) -> None:
    units = world.scene.units.copy()
    units[5, 260] *= 0.2
    lived = replays.replay(world, units)
    changed = replace(world.scene, units=units)
    (one,) = scores.named(
        scores.outcomes(scores.flags(lived, changed), [case("drop", -0.8, 260, row=5)]), lived, changed
    )
    assert (one.delay, one.found, one.cls) == (0, True, "DROP")


def test_a_detector_that_finds_nothing_and_one_that_finds_all_get_what_they_deserve() -> None:
    cases = [case("drop", -0.5, 10), case("spike", 0.5, 20, row=1), case("shift", -0.2, 30, days=14, row=2)]
    nothing, down = np.zeros((3, 60), np.int8), np.full((3, 60), -1, np.int8)
    assert [one.found for one in scores.outcomes(nothing, cases)] == [False, False, False]
    assert [one.found for one in scores.outcomes(down, cases)] == [True, False, True]  # a rise is no fall
    assert scores.episodes_of(down, np.ones(3, bool)) == 3
    assert scores.episodes_of(nothing, np.ones(3, bool)) == 0


def test_a_shift_counts_within_five_days_and_a_drop_on_its_day_only() -> None:
    late = np.zeros((2, 60), np.int8)
    late[0, 36], late[1, 11] = -1, -1
    shift, drop = scores.outcomes(late, [case("shift", -0.2, 30, days=14), case("drop", -0.5, 10, row=1)])
    assert (shift.delay, shift.found) == (6, False)
    assert (drop.delay, drop.found) == (None, False)
    late[0, 35] = -1
    assert scores.outcomes(late, [case("shift", -0.2, 30, days=14)])[0].found


def test_recall_by_kind_and_its_interval_by_series() -> None:
    found = [scores.Outcome(case("drop", -0.5, 10, row=row), row, 0 if row < 6 else None) for row in range(8)]
    (row,) = scores.recall(found, np.ones(8, bool), np.random.default_rng(0))
    assert (row["number"], row["recall"], row["mean_delay"]) == (8, 0.75, 0.0)
    assert row["low"] < 0.75 < row["high"]
    only = np.arange(8) >= 6
    assert scores.recall(found, only, np.random.default_rng(0))[0]["recall"] == 0.0


def test_days_of_one_direction_close_together_are_one_row_of_the_log() -> None:
    flags = np.zeros((2, 40), np.int8)
    flags[0, [5, 6, 9]] = 1  # within three days
    flags[0, 20] = 1
    flags[1, 7] = -1
    assert scores.episodes_of(flags, np.ones(2, bool)) == 3
    assert scores.weekly(3, 14, 100, 2500) == pytest.approx(37.5)


def test_power_is_by_size_in_the_series_own_deviations() -> None:
    spread = np.array([0.05, 0.3])
    found = [scores.Outcome(case("drop", -0.5, 10, row=row), row, 0 if row == 0 else None) for row in range(2)]
    table = scores.power(found, spread, np.ones(2, bool))
    assert [(one["from"], one["recall"]) for one in table] == [(2.0, 0.0), (8.0, 1.0)]  # .69 / .3 and / .05


def test_uniform_p_values_are_called_so_and_others_not() -> None:
    rng = np.random.default_rng(1)
    even = scores.uniformity(rng.uniform(size=20_000))
    assert max(even["above"], even["below"]) < 0.015
    assert scores.uniformity(rng.uniform(size=20_000) ** 2)["above"] > 0.2
    assert scores.uniformity(np.array([np.nan]))["tests"] == 0


def test_false_discoveries_are_counted_by_day() -> None:
    q = np.ones((4, 3))
    q[0, 0], q[1, 0], q[2, 1] = 0.01, 0.02, 0.04
    truth = np.zeros(q.shape, bool)
    truth[0, 0] = True
    blank = np.full(q.shape, np.nan)
    lived = Lived([], [], q, q, blank, blank, blank, np.ones(q.shape, bool))
    assert scores.discovery(lived, 0)["fdr"] == pytest.approx(2 / 3)  # two of three days, all false
    assert scores.discovery(lived, 0, truth)["fdr"] == pytest.approx((0.5 + 1 + 0) / 3)


def test_where_nothing_happened_hardly_anything_is_found(world: World, usual: Lived) -> None:
    quiet = replays.null_world(world, usual, np.random.default_rng(5))
    assert quiet.scene.units.shape == (24, DAYS - FIRST_JUDGED)
    assert np.isfinite(quiet.scene.units).mean() > 0.95
    lived = replays.replay(quiet, frozen_days=replays.WINDOW)
    assert scores.discovery(lived, quiet.first)["fdr"] <= 0.2  # of 28 days


def test_an_outage_of_a_region_is_one_alert_and_a_doubled_feed_is_no_demand(world: World, usual: Lived) -> None:
    units = np.repeat(world.scene.units, 2, axis=0)
    big = scene(np.round(units * np.random.default_rng(8).lognormal(0, 0.05, units.shape)), regions=4)
    ours = replace(world, scene=big)
    before = replays.replay(ours)
    changed = big.units.copy()
    rows = {region: np.flatnonzero((big.series["region"] == region).to_numpy()) for region in ("R1", "R2")}
    changed[rows["R1"], 250] = np.round(changed[rows["R1"], 250] * 0.4)
    changed[rows["R2"], 270] *= 2
    lived = replays.replay(ours, changed)
    cases = [
        Case("outage", -0.6, 250, 1, tuple(rows["R1"].tolist()), "R1"),
        Case("duplicate load", 1.0, 270, 1, tuple(rows["R2"].tolist()), "R2"),
    ]
    outage, doubled = scores.wide(lived, replace(big, units=changed), cases, before)
    assert (outage["alerts"], outage["told"]) == (1, True)
    assert (doubled["told"], doubled["demand"]) == (True, 0)
    assert str(FIRST + 250) in {day for one in lived.episodes for day in one.days}
