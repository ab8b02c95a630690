"""Some series of a region that are off on one day are one matter, and no proof against each of them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.anomalies.scenes import FIRST, noisy, scene
from trendcast.anomalies import incidents
from trendcast.anomalies.detect import detect
from trendcast.anomalies.entries import Entry, Found
from trendcast.anomalies.explain import cause
from trendcast.anomalies.scene import Stock
from trendcast.anomalies.trend import LASTING

DAYS = 240


def leads(found: Found) -> list[Entry]:
    return [entry for entry in found.entries if entry.parent is None]


def test_some_series_of_a_region_that_fall_on_one_day_are_one_finding_with_these_as_members() -> None:
    units = noisy(80, DAYS, sd=0.05)
    day, depot = DAYS - 1, np.arange(0, 16, 2)  # eight of the forty series of R0
    units[depot, day] = np.round(units[depot, day] * 0.5)
    found = detect(scene(units, regions=2), np.array([day]))
    (lead,) = leads(found)
    assert (lead.key, lead.cls) == (("region", "", "R0", ""), "DROP")
    assert (lead.facts["leaning"], lead.facts["children"]) == (8, 40)
    members = [one for one in found.entries if one.parent == lead.key]
    assert sorted(int(one.rows[0]) for one in members) == depot.tolist()
    assert all(one.rel == pytest.approx(0.5, abs=0.15) for one in members)


def test_what_many_series_do_on_one_day_is_told_of_their_region_and_a_far_one_of_another_by_itself() -> None:
    units = noisy(80, DAYS, sd=0.05)
    day, depot = DAYS - 1, np.arange(0, 16, 2)
    units[depot, day] = np.round(units[depot, day] * 0.5)
    units[41, day] = np.round(units[41, day] * 1.5)  # of R1
    found = detect(scene(units, regions=2), np.array([day]))
    assert {one.key[0] for one in leads(found)} == {"region", "category_region"}
    assert [int(one.rows[0]) for one in leads(found) if one.key[0] == "category_region"] == [41]


@pytest.mark.parametrize(("factor", "urgent"), [(0.9, False), (0.55, True)])
def test_a_lower_level_of_a_whole_region_is_urgent_only_where_it_is_much_lower(factor: float, urgent: bool) -> None:
    units = noisy(80, DAYS, sd=0.05)
    units[::2, -10:] = np.round(units[::2, -10:] * factor)  # R0
    found = detect(scene(units, regions=2), np.arange(DAYS - 10, DAYS))
    levels = {one.impact for one in found.entries if one.key == ("region", "", "R0", "") and one.cls in LASTING}
    assert levels
    assert ("HIGH" in levels) is urgent


def test_where_a_region_fell_and_some_of_it_rose_each_series_belongs_to_what_it_did() -> None:
    units = noisy(80, DAYS, sd=0.05, seed=0)
    units[::2, -10:] *= 0.8  # R0
    units[[0, 2], -1] *= 0.8
    units[[10, 18, 26, 34, 42, 50, 58], -1] *= 4
    found = detect(scene(np.round(units), regions=2), np.array([DAYS - 1])).entries
    told = {(one.direction, one.cls) for one in found if one.key[2:] == ("R0", "")}
    assert {(-1, "LEVEL_SHIFT"), (1, "SPIKE")} <= told
    episodes = incidents.gather(found, [], FIRST)
    leads_of = {one.group: one for one in episodes if one.lead}
    members = [one for one in episodes if not one.lead]
    assert {one.direction for one in members} == {-1, 1}
    assert all(leads_of[one.group].direction == one.direction for one in members)


@pytest.mark.parametrize("worst", ["first", "last"])
def test_an_incident_of_several_days_is_explained_as_the_day_whose_figures_are_told(worst: str) -> None:
    """A region halves, and on another day some of it falls: which of the days is the newer does not matter."""
    units = noisy(80, DAYS, sd=0.05)
    whole, some = (DAYS - 2, DAYS - 1) if worst == "first" else (DAYS - 1, DAYS - 2)
    units[::2, whole] = np.round(units[::2, whole] * 0.4)
    units[0:16:2, some] = np.round(units[0:16:2, some] * 0.5)
    found = detect(scene(units, regions=2), np.arange(DAYS - 2, DAYS)).entries
    (episode,) = [one for one in incidents.gather(found, [], FIRST) if one.key == ("region", "", "R0", "")]
    assert sorted(episode.days) == [str(FIRST + DAYS - 2), str(FIRST + DAYS - 1)]
    assert episode.worst["day"] == str(FIRST + whole)
    assert [day for day, told in episode.days.items() if told.get("some")] == [str(FIRST + some)]
    assert "some" not in episode.facts
    assert episode.facts["leaning"] == episode.facts["children"] == 40
    assert cause(episode.cause, episode.cls, episode.kind, episode.facts) == "everything there moved together"


def test_a_stock_out_stays_the_reason_while_the_shelf_fills_again() -> None:
    units = noisy(12, DAYS, sd=0.05)
    units[3, -2] = np.round(units[3, -2] * 0.1)
    units[3, -1] = np.round(units[3, -1] * 0.6)
    out = np.zeros((1, DAYS), bool)
    out[0, -2] = True
    stock = Stock(["C003"], np.where(out, 0.0, 5000.0), out, np.full(1, 7.0))
    found = detect(scene(units, stock=stock), np.arange(DAYS - 2, DAYS)).entries
    (episode,) = [one for one in incidents.gather(found, [], FIRST) if one.key[1] == "C003"]
    assert len(episode.days) == 2
    assert (episode.kind, episode.cls, episode.cause) == ("SUPPLY", "STOCK_OUT", "stock-out")


@pytest.mark.parametrize(("factor", "urgent"), [(0.65, True), (0.85, False)])
def test_an_outage_of_a_small_region_is_urgent_though_it_is_little_of_the_whole(factor: float, urgent: bool) -> None:
    units = 20 * noisy(200, DAYS, sd=0.05)
    units[::20] = np.round(units[::20] / 8)  # R0 sells less than a hundredth of all
    units[::20, -1] = np.round(units[::20, -1] * factor)
    found = detect(scene(units, regions=20), np.array([DAYS - 1]), {"": 20.0})
    (lead,) = [one for one in leads(found) if one.key == ("region", "", "R0", "")]
    assert (lead.impact == "HIGH") is urgent
