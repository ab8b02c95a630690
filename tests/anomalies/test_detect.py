"""What early warning says of retailers whose truth is known: what it finds, what it leaves alone, how often it errs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.anomalies.scenes import FIRST, WEEK, noisy, scene
from trendcast.anomalies import incidents, pvalues
from trendcast.anomalies.cusum import cusum
from trendcast.anomalies.detect import detect
from trendcast.anomalies.entries import Entry, Found
from trendcast.anomalies.expectation import expect
from trendcast.anomalies.limits import Limits, Rule
from trendcast.anomalies.scene import Scene, Stock
from trendcast.anomalies.trend import LASTING

DAYS = 240


def leads(found: Found) -> list[Entry]:
    return [entry for entry in found.entries if entry.parent is None]


def last(found: Found, scene: Scene) -> list[Entry]:
    return [entry for entry in leads(found) if entry.day == scene.days - 1]


def test_a_flat_week_gives_no_alert_in_a_year() -> None:
    units = np.tile(np.round(200 * WEEK), (6, 86))[:, :600]
    assert detect(scene(units), np.arange(235, 600)).entries == []


def test_a_constant_series_gives_none_and_its_sudden_zero_is_high() -> None:
    constant = np.full((1, DAYS), 100.0)
    assert detect(scene(constant), np.arange(DAYS - 60, DAYS)).entries == []
    constant[0, -1] = 0
    (entry,) = detect(scene(constant), np.array([DAYS - 1]), {"": 50.0}).entries
    assert (entry.impact, entry.cls, entry.direction) == ("HIGH", "DROP", -1)
    assert entry.score > 4


@pytest.mark.parametrize("up", [1.5, 2.0, 5.0, 50.0, 5000.0])
def test_the_further_off_the_larger_z_without_any_limit(up: float) -> None:
    units = noisy(30, DAYS)
    z = []
    for factor in (up, 2 * up):
        changed = units.copy()
        changed[4, -1] *= factor
        (entry,) = [
            one for one in detect(scene(changed), np.array([DAYS - 1])).entries if one.product_category == "C004"
        ]
        z.append(entry.now.z)
        assert entry.direction == 1
    assert z[1] > z[0] > 3.474  # what the textbook's rule cannot exceed


def test_two_spikes_five_days_apart_are_both_found() -> None:
    units = noisy(30, DAYS)
    units[7, [-8, -3]] *= 2
    found = detect(scene(units), np.arange(DAYS - 20, DAYS))
    days = {entry.day for entry in found.entries if entry.product_category == "C007"}
    assert days == {DAYS - 8, DAYS - 3}
    mine = [one for one in incidents.gather(found.entries, [], FIRST) if one.key[1] == "C007"]
    assert len(mine) == 2


def test_each_impact_is_reached_and_follows_its_limit() -> None:
    units = noisy(60, DAYS, sd=0.05)
    units[3, -1] *= 0.3
    units[5, -1] = round(units[5, -1] * 0.65)
    normal = detect(scene(units), np.array([DAYS - 1]), {"": 60.0})
    by_name = {entry.product_category: entry.impact for entry in normal.entries}
    assert (by_name["C003"], by_name["C005"]) == ("HIGH", "MEDIUM")
    strict = detect(scene(units), np.array([DAYS - 1]), {"": 1e9})
    by_name = {entry.product_category: entry.impact for entry in strict.entries}
    assert (by_name["C003"], by_name["C005"]) == ("MEDIUM", "MEDIUM")
    slight = noisy(60, DAYS, sd=0.03, level=5000)
    slight[5, -1] = round(slight[5, -1] * 0.84)
    (entry,) = [one for one in detect(scene(slight), np.array([DAYS - 1]), {"": 1e9}).entries if one.rel < 0.25]
    assert entry.impact == "LOW"
    assert 2.5 <= entry.score <= 3


def test_a_new_store_is_left_alone_for_four_weeks() -> None:
    units = noisy(40, DAYS, sd=0.1)
    units[9, : DAYS - 27] = np.nan
    found = detect(scene(units), np.arange(DAYS - 27, DAYS))
    assert [entry for entry in leads(found) if entry.product_category == "C009"] == []
    units[9, DAYS - 27 + 14 :] *= 4  # and whatever it does, it is no matter for a mail
    wild = detect(scene(units), np.arange(DAYS - 27, DAYS))
    assert "HIGH" not in {entry.impact for entry in leads(wild) if entry.product_category == "C009"}


def test_a_low_volume_series_without_anomalies_gives_none() -> None:
    units = np.random.default_rng(3).poisson(0.6, (50, DAYS)).astype(float)
    found = leads(detect(scene(units), np.arange(DAYS - 28, DAYS)))
    assert len(found) <= 2  # of 1,400 tests
    assert "HIGH" not in {entry.impact for entry in found}


def test_a_run_of_zeros_longer_than_any_is_found_where_days_alone_say_nothing() -> None:
    units = np.random.default_rng(3).poisson(2.5, (40, DAYS)).astype(float)
    units[6, -9:] = 0
    entries = [
        entry for entry in detect(scene(units), np.arange(DAYS - 9, DAYS)).entries if entry.product_category == "C006"
    ]
    assert entries
    assert entries[-1].cls == "ZERO_RUN"
    assert entries[-1].direction == -1


def test_of_twenty_thousand_ordinary_series_hardly_any_is_called_strange() -> None:
    """Without a true anomaly, the share of days on which anything is found at 5 % is the false discovery rate."""
    base = noisy(2_000, DAYS, seed=11)
    found = detect(scene(base), np.arange(DAYS - 10, DAYS))
    certain = [entry for entry in found.entries if entry.now.q <= 0.05 and entry.cls != "LEVEL_SHIFT"]
    assert len({entry.day for entry in certain}) <= 2  # of ten days, each like a drawing of 2,000 series
    assert found.tests >= 20_000


@pytest.mark.nightly
def test_of_twenty_thousand_null_series_a_day_with_a_finding_is_as_rare_as_promised() -> None:
    """Nothing is wrong: on one day of twenty anything may be found at 5 %, so over twenty days at most 3 (97 % of such
    drawings), with 20,000 tests each."""
    days = 200
    found = detect(scene(noisy(20_000, days, seed=7)), np.arange(days - 20, days))
    certain = {entry.day for entry in found.entries if entry.now.q <= 0.05 and entry.cls not in LASTING}
    assert len(certain) <= 3
    assert found.tests >= 400_000


def test_p_values_are_uniform_on_clean_data() -> None:
    rng = np.random.default_rng(5)
    z, bucket = rng.standard_t(8, 60_000), np.ones(60_000, int)
    reference = pvalues.Reference(z[:40_000], bucket[:40_000])
    p = reference.p(z[40_000:], bucket[40_000:])
    grid = np.linspace(0.05, 0.95, 19)
    assert np.abs((p[:, None] <= grid).mean(axis=0) - grid).max() < 0.015
    assert (p <= 0.001).mean() <= 0.002


def test_what_is_not_known_is_not_tested() -> None:
    units = noisy(20, DAYS)
    units[3, -1] = np.nan
    units[4, :-5] = np.nan  # five days old
    shut = np.zeros(units.shape, bool)
    shut[5, -1] = True
    units[5, -1] = 0
    found = detect(scene(units, closed=shut), np.array([DAYS - 1]))
    everything = 1  # the level total is a test of its own
    assert found.tests == 17 + everything
    p = np.array([0.001, np.nan, 0.5, np.nan])
    assert pvalues.benjamini_hochberg(p)[0] == pytest.approx(0.002)  # two tests, not four


def test_a_quiet_day_of_all_shops_is_no_anomaly_of_each() -> None:
    """What is common to all is taken off, and told once."""
    units = noisy(60, DAYS)
    units[:, -1] = np.round(units[:, -1] * 0.6)
    found = detect(scene(units), np.array([DAYS - 1]))
    (lead,) = leads(found)
    assert (lead.level, lead.direction, lead.impact) == ("total", -1, "HIGH")


def test_forty_categories_of_a_region_are_one_incident_with_members() -> None:
    units = noisy(160, DAYS)
    region = np.arange(160) % 4 == 2
    units[region, -1] = np.round(units[region, -1] * 0.5)
    found = detect(scene(units, regions=4), np.array([DAYS - 1]))
    episodes = incidents.gather(found.entries, [], FIRST)
    (group,) = incidents.counts(episodes)
    lead = next(one for one in episodes if one.lead)
    assert lead.key == ("region", "", "R2", "")
    members = [one for one in episodes if not one.lead]
    assert len(members) == 40
    assert {one.group for one in members} == {group}
    assert {one.key[2] for one in members} == {"R2"}
    shares = [entry.facts["share"] for entry in found.entries if entry.parent is not None]
    assert sum(shares) == pytest.approx(1, abs=0.05)


def test_a_region_is_high_from_the_loss_that_people_set_for_it() -> None:
    units = noisy(80, DAYS)
    units[::2, -1] = np.round(units[::2, -1] * 0.5)
    shops = scene(units, regions=2)
    lost = 0.5 * units[::2, -8].sum()

    def impact(*rules: Rule) -> str:
        (lead,) = last(detect(shops, np.array([DAYS - 1]), Limits(rules)), shops)
        assert (lead.level, lead.region) == ("region", "R0")
        return lead.impact

    region = ("region", "", "R0", "")
    assert impact() == "HIGH"
    assert impact(Rule("high_loss", region, 2 * lost)) == "MEDIUM"
    assert impact(Rule("high_loss", region, 0.5 * lost)) == "HIGH"
    # What is set for everything is meant of a series: a region's loss must also be a part of what all sell.
    assert impact(Rule("high_loss", ("", "", "", ""), 2 * lost)) == "MEDIUM"
    assert impact(Rule("high_loss", ("", "", "", ""), 1.0)) == "HIGH"


def test_one_of_two_regions_that_falls_does_not_make_the_other_one_rise() -> None:
    units = noisy(40, DAYS)
    units[::2, -1] = np.round(units[::2, -1] * 0.4)
    found = detect(scene(units, regions=2), np.array([DAYS - 1]))
    assert {(entry.level, entry.region, entry.direction) for entry in leads(found)} == {("region", "R0", -1)}


def test_a_series_that_differs_from_its_falling_region_keeps_its_own_line() -> None:
    units = noisy(80, DAYS)
    region = np.arange(80) % 4 == 1
    units[region, -1] = np.round(units[region, -1] * 0.6)
    units[4 * 7 + 1, -1] *= 4
    found = detect(scene(units, regions=4), np.array([DAYS - 1]))
    assert {(entry.level, entry.direction) for entry in leads(found)} == {("region", -1), ("category_region", 1)}


@pytest.mark.parametrize("share", [-0.2, 0.25])
def test_a_lasting_shift_is_found_within_days_and_called_one(share: float) -> None:
    delays = []
    for seed in range(4):
        units = noisy(40, DAYS, sd=0.04, seed=seed, level=2000)
        units[8, -10:] = np.round(units[8, -10:] * (1 + share))
        found = detect(scene(units), np.arange(DAYS - 10, DAYS))
        mine = [entry for entry in found.entries if entry.product_category == "C008"]
        assert mine
        assert "LEVEL_SHIFT" in {entry.cls for entry in mine}
        assert {entry.direction for entry in mine} == {int(np.sign(share))}
        delays.append(mine[0].day - (DAYS - 10))
    assert max(delays) <= 5
    assert np.mean(delays) <= 2.5


def test_a_cusum_alarm_is_what_a_loop_by_hand_gives() -> None:
    z = np.random.default_rng(2).normal(0.4, 1.2, (6, 120))
    z[2, 30] = np.nan
    skip = np.zeros(z.shape, bool)
    skip[:, 50] = True
    alarm, _ = cusum(z, skip, 0.75, 10.0)
    for row in range(len(z)):
        up = down = 0.0
        for day in range(120):
            if np.isnan(z[row, day]) or skip[row, day]:
                assert alarm[row, day] == 0
                continue
            held = min(max(z[row, day], -3), 3)
            up, down = max(0, up + held - 0.75), max(0, down - held - 0.75)
            expected = -1 if down > 10 else 1 if up > 10 else 0
            assert alarm[row, day] == expected
            up, down = (0.0 if up > 10 else up), (0.0 if down > 10 else down)


def test_a_holiday_known_from_before_is_none() -> None:
    units = noisy(30, 400)
    spots = [30, 121, 212, 303, 394]
    for spot in spots:
        units[:, spot] = np.round(units[:, spot] * 0.3)
    events = pd.DataFrame({"date_id": FIRST + np.array(spots), "region": "", "event": "Feast"})
    without = detect(scene(units), np.array([394]))
    assert {entry.level for entry in leads(without)} == {"total"}
    assert leads(detect(scene(units, events=events), np.array([394]))) == []


def test_a_promotion_lifts_what_is_expected() -> None:
    units = noisy(30, DAYS)
    promotion = np.zeros(units.shape)
    promotion[:, ::20] = 1
    promotion[:, -1] = 1
    units[promotion == 1] *= 1.8
    assert leads(detect(scene(np.round(units), promotion=promotion), np.array([DAYS - 1]))) == []
    units[6, -1] /= 1.8
    (entry,) = leads(detect(scene(np.round(units), promotion=promotion), np.array([DAYS - 1])))
    assert entry.product_category == "C006"
    assert entry.cause == "promotion without uplift"


def test_no_stock_is_a_matter_of_supply() -> None:
    units = noisy(40, DAYS)
    rows = slice(12, 16)  # category C003 in four regions
    units[rows, -1] = [2, 0, 5, 0]
    out = np.zeros((1, DAYS), bool)
    out[0, -1] = True
    stock = Stock(["C003"], np.where(out, 0.0, 5000.0), out, np.array([7.0]))
    found = detect(scene(units, regions=4, stock=stock), np.array([DAYS - 1]))
    (lead,) = leads(found)
    assert (lead.level, lead.product_category, lead.kind, lead.cls) == ("category", "C003", "SUPPLY", "STOCK_OUT")
    assert {entry.kind for entry in found.entries} == {"SUPPLY"}


def test_a_category_that_is_often_out_of_stock_is_told_each_time() -> None:
    """Three days of every two weeks: that it is usual makes it no less a loss."""
    units = noisy(40, DAYS)
    rows = slice(12, 16)  # category C003 in four regions
    out = np.zeros((1, DAYS), bool)
    for last in range(DAYS, 0, -14):
        out[0, last - 3 : last] = True
    units[rows] = np.where(out, 0, units[rows])
    masked = np.zeros(units.shape, bool)
    masked[rows] = out
    stock = Stock(["C003"], np.where(out, 0.0, 5000.0), out, np.array([7.0]))
    found = detect(scene(units, regions=4, stock=stock, masked=masked), np.arange(DAYS - 3, DAYS))
    told = [entry for entry in found.entries if entry.level == "category"]
    assert {(entry.product_category, entry.cls) for entry in told} == {("C003", "STOCK_OUT")}
    assert {entry.day for entry in told} == {DAYS - 3, DAYS - 2, DAYS - 1}
    assert max(entry.now.z for entry in told) < -20  # against days with stock


def test_what_sold_less_before_the_shelf_was_empty_is_no_stock_out() -> None:
    units = noisy(40, DAYS)
    rows = slice(12, 16)
    units[rows, -12:-2] = np.round(units[rows, -12:-2] * 0.7)
    units[rows, -2:] = 0
    out = np.zeros((1, DAYS), bool)
    out[0, -2:] = True
    masked = np.zeros(units.shape, bool)
    masked[rows] = out
    stock = Stock(["C003"], np.where(out, 0.0, 5000.0), out, np.array([7.0]))
    found = detect(scene(units, regions=4, stock=stock, masked=masked), np.arange(DAYS - 12, DAYS))
    short = [entry for entry in found.entries if entry.cls == "STOCK_OUT"]
    assert {entry.day for entry in short} == {DAYS - 2, DAYS - 1}
    assert {day.day for entry in short for day in entry.days} == {DAYS - 2, DAYS - 1}
    assert any(entry.cls == "LEVEL_SHIFT" for entry in found.entries)


def test_what_was_not_heard_of_for_weeks_begins_anew() -> None:
    z = np.full((2, 60), np.nan)
    z[:, :2] = -3.0
    z[0, 10:] = z[1, 40:] = -1.5
    alarms = cusum(z, np.zeros(z.shape, bool), 0.75, 6.0)
    first = [int(np.flatnonzero(row)[0]) for row in alarms.alarm]
    assert [alarms.at(row, day)[1] for row, day in enumerate(first)] == [0, 40]


def test_a_rise_is_high_only_while_the_stock_may_not_last() -> None:
    units = noisy(40, DAYS)
    units[5, -1] *= 4
    nothing = np.zeros((1, DAYS), bool)
    for on_hand, expected in ((100.0, "HIGH"), (1e6, "MEDIUM")):
        stock = Stock(["C005"], np.full((1, DAYS), on_hand), nothing, np.array([7.0]))
        (entry,) = leads(detect(scene(units, stock=stock), np.array([DAYS - 1]), {"": 100.0}))
        assert entry.impact == expected


def test_money_is_units_at_their_price() -> None:
    units = noisy(20, DAYS)
    units[2, -1] = 10
    found = detect(scene(units, value=np.full(20, 3.5)), np.array([DAYS - 1]))
    (entry,) = leads(found)
    assert entry.now.loss == pytest.approx(3.5 * entry.now.loss_units)
    assert entry.now.loss_units == pytest.approx(abs(entry.now.actual - entry.now.expected))


def test_the_frozen_forecast_is_what_is_expected_where_there_is_one() -> None:
    units = noisy(20, DAYS)
    forecast = np.full(units.shape, np.nan)
    forecast[:, -40:] = np.median(units, axis=1)[:, None] * WEEK[np.arange(DAYS - 40, DAYS) % 7]
    units[3, -1] = 5
    (entry,) = leads(detect(scene(units, forecast=forecast), np.array([DAYS - 1])))
    assert entry.now.expected == pytest.approx(forecast[3, -1])
    assert entry.facts["frozen"]


def test_days_that_come_later_change_nothing() -> None:
    units = noisy(60, DAYS, sd=0.08)
    units[4, -30] *= 2
    units[9, -40:-32] *= 0.6
    events = pd.DataFrame({"date_id": FIRST + np.array([60, 150, 205]), "region": "", "event": "Feast"})
    days = np.arange(DAYS - 45, DAYS - 20)
    other = units.copy()
    other[:, -20:] = np.random.default_rng(9).uniform(0, 5000, (60, 20))
    other[::3, -20:] = np.nan

    def told(values: np.ndarray) -> list[tuple[object, ...]]:
        found = detect(scene(values, regions=4, events=events), days, {"": 100.0})
        return [(entry.day, entry.key, entry.impact, entry.cls, entry.now) for entry in found.entries]

    assert told(units)
    assert repr(told(units)) == repr(told(other))


def test_an_anomaly_people_confirmed_teaches_nothing() -> None:
    units = noisy(3, DAYS, sd=0.05)
    odd = slice(DAYS - 5 - 35, DAYS - 5, 7)  # five weeks of an odd weekday, each called an anomaly
    units[1, odd] *= 1.9
    masked = np.zeros(units.shape, bool)
    masked[1, odd] = True
    units[1, -5] *= 1.9
    plain, taught = (detect(scene(units, masked=one), np.array([DAYS - 5])) for one in (None, masked))
    assert [entry.product_category for entry in taught.entries] == ["C001"]
    assert plain.entries == []


def test_an_accepted_level_is_the_level() -> None:
    units = noisy(30, DAYS, sd=0.05)
    units[2, -9:] = np.round(units[2, -9:] * 0.6)
    days = np.arange(DAYS - 3, DAYS)
    before = detect(scene(units), days)
    assert {entry.product_category for entry in before.entries} == {"C002"}
    accepted = np.zeros(30, int)
    accepted[2] = DAYS - 9
    assert detect(scene(units, accepted=accepted), days).entries == []


def test_a_day_of_an_accepted_level_is_not_expected_by_itself_or_by_what_comes_later() -> None:
    units = noisy(30, DAYS, sd=0.05)
    units[2, -9:] = np.round(units[2, -9:] * 0.6)
    accepted = np.zeros(30, int)
    accepted[2] = DAYS - 9
    told = expect(scene(units, accepted=accepted)).log
    for day in range(DAYS - 9, DAYS):
        other = units.copy()
        other[2, day:] *= 5
        assert expect(scene(other, accepted=accepted)).log[2, day] == pytest.approx(told[2, day], abs=1e-9)
    # From the second day on it is the new level all the same, and at last that of all its days together.
    assert np.exp(told[2, -8:] - np.log1p(units[2, -8:])) == pytest.approx(1, abs=0.15)


def test_high_can_be_reached_at_the_first_look_of_a_young_retailer() -> None:
    units = noisy(40, 60, sd=0.05)
    units[3, 59] = 0
    first_look = np.arange(4, 60)  # no day before them was expected
    found = detect(scene(units, value=np.full(40, 10.0)), first_look)
    assert found.high_loss > 0
    assert [entry.impact for entry in found.entries if entry.day == 59] == ["HIGH"]


def test_turnover_in_thousands_is_judged_like_turnover() -> None:
    units = noisy(40, 160, level=900.0)
    units[7, 159] = round(units[7, 159] * 0.3)
    units[2::4, 158] = np.round(units[2::4, 158] * 0.4)
    days = np.arange(150, 160)
    stock = Stock(["C001"], np.full((1, 160), 1e6), np.zeros((1, 160), bool), np.full(1, 7.0))

    def told(times: float) -> list[tuple[object, ...]]:
        found = detect(
            scene(units / times, categories=10, regions=4, value=np.full(40, 3.0 * times),
                  stock=replace(stock, on_hand=stock.on_hand / times)),
            days,
        )  # fmt: skip
        assert found.high_loss > 0
        return [
            (entry.key, entry.day, entry.cls, entry.impact, round(entry.now.actual * times), round(entry.now.loss))
            for entry in found.entries
        ]

    small = told(1000.0)
    assert {one[:4] for one in told(1.0)} == {one[:4] for one in small}
    assert {one[0]: one[4] for one in small if one[1] == 159}["category_region", "C001", "R3", ""] == units[7, 159]


def test_a_shift_that_goes_on_after_its_incident_was_closed_is_told_from_there_on() -> None:
    units = noisy(40, 160)
    units[6, 150:] = np.round(units[6, 150:] * 0.6)
    found = [
        one for day in range(150, 160) for one in detect(scene(units), np.array([day])).entries if one.key[1] == "C006"
    ]
    assert {one.cls for one in found} >= {"LEVEL_SHIFT"}
    until = [one for one in found if one.day < 154]
    episodes = incidents.gather(until, [], FIRST)
    for one in episodes:
        one.stored, one.status = True, "RESOLVED"
    before = {day: dict(figures) for one in episodes for day, figures in one.days.items()}
    after = incidents.gather([one for one in found if one.day >= 154], list(episodes), FIRST)
    new = [one for one in after if not one.stored]
    assert len(new) == 1
    assert not set(new[0].days) & set(before)
    assert {day: figures for one in episodes for day, figures in one.days.items()} == before
    assert len({one.fingerprint for one in after}) == len(after)
    again = incidents.gather([one for one in found if one.day >= 154], after, FIRST)
    assert len(again) == len(after)


@pytest.mark.parametrize("factor", [0.55, 0.4])
@pytest.mark.parametrize("region", [0, 3])
def test_a_region_that_often_goes_its_own_way_has_one_outage_all_the_same(factor: float, region: int) -> None:
    """Some days of holidays and weather in each region, and weeks of promotions: that makes an outage no less rare. The
    last region is too small to matter to the whole."""
    rng = np.random.default_rng(8)
    units = noisy(160, DAYS, level=2000.0)
    own = np.where(rng.random((8, DAYS)) < 0.05, rng.normal(0, 0.2, (8, DAYS)), rng.normal(0, 0.004, (8, DAYS)))
    own[:, -1] = 0
    units *= np.exp(np.tile(own, (20, 1)))
    units[3::8] /= 40
    promotion = np.tile((np.arange(DAYS) // 7 % 2).astype(float), (160, 1))
    units[promotion == 1] *= 1.3
    units[region::8, -1] *= factor
    given = scene(np.round(units), regions=8, promotion=promotion)
    (entry,) = leads(detect(given, np.array([DAYS - 1])))
    assert (entry.level, entry.region, entry.cls, entry.impact) == ("region", f"R{region}", "DROP", "HIGH")


def test_what_it_came_to_since_a_day_is_of_the_days_since_then() -> None:
    """A sum that had begun to grow long before an incident did adds nothing to its money."""
    units = noisy(30, DAYS)
    units[4, -1] *= 0.3
    first = detect(scene(units), np.array([DAYS - 1])).entries
    (drop,) = [one for one in first if one.product_category == "C004"]
    later = replace(
        drop,
        day=DAYS,
        cls="LEVEL_SHIFT",
        start=DAYS - 40,
        days=[replace(drop.now, day=day) for day in range(DAYS - 40, DAYS + 1)],
    )
    (episode,) = incidents.gather([drop, later], [], FIRST)
    assert sorted(episode.days) == [str(FIRST + DAYS - 1), str(FIRST + DAYS)]
    assert str(episode.start) == min(episode.days)
