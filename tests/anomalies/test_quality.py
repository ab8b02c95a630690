"""Gate A: a feed that is missing, in part, twice or in another unit is one matter of data, and never one of demand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from tests.anomalies.scenes import FIRST, noisy, scene
from trendcast import wording
from trendcast.anomalies.detect import detect
from trendcast.anomalies.incidents import gather
from trendcast.services.detect_write import headline

DAYS = 200
LAST = np.array([DAYS - 1])


def kinds(units: np.ndarray, **more: object) -> list[tuple[str, str, str]]:
    found = detect(scene(units, regions=4, **more), LAST)
    return [(entry.kind, entry.cls, entry.region) for entry in found.entries]


@pytest.fixture
def units() -> np.ndarray:
    return noisy(80, DAYS)


def test_a_missing_region_is_one_fault_and_no_demand(units: np.ndarray) -> None:
    units[1::4, -1] = np.nan
    assert kinds(units) == [("DATA_QUALITY", "MISSING_FEED", "R1")]


def test_all_regions_missing_are_one_fault(units: np.ndarray) -> None:
    units[:, -1] = np.nan
    assert kinds(units) == [("DATA_QUALITY", "MISSING_FEED", "")]


def test_a_feed_of_which_a_part_came_is_held_back(units: np.ndarray) -> None:
    units[1:40:4, -1] = np.nan
    units[41, -1] = 1  # a drop nobody can judge now
    assert kinds(units) == [("DATA_QUALITY", "PARTIAL_FEED", "R1")]


@pytest.mark.parametrize("whole", [True, False])
def test_a_doubled_feed_is_no_boom(units: np.ndarray, whole: bool) -> None:
    units = units if whole else units + 0.25
    units[2::4, -1] *= 2
    assert kinds(units) == [("DATA_QUALITY", "DOUBLED_FEED", "R2")]


def test_a_day_that_truly_sold_twice_as_much_is_a_boom(units: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    units[2::4, -1] = np.round(units[2::4, -1] * 2 * np.exp(rng.normal(0, 0.03, 20)))
    found = kinds(units)
    assert ("DATA_QUALITY", "DOUBLED_FEED", "R2") not in found
    assert ("DEMAND", "SPIKE", "R2") in found


@pytest.mark.parametrize("scale", [100.0, 0.001])
def test_another_unit_is_seen(units: np.ndarray, scale: float) -> None:
    units[3::4, -1] *= scale
    assert ("DATA_QUALITY", "RESCALED_FEED", "R3") in kinds(units)
    assert "DEMAND" not in {kind for kind, _, _ in kinds(units)}


def test_a_weekday_without_rows_is_not_missing(units: np.ndarray) -> None:
    units[:, np.arange(DAYS) % 7 == (DAYS - 1) % 7] = np.nan
    assert kinds(units) == []


def test_a_closed_day_is_not_missing(units: np.ndarray) -> None:
    units[1::4, -1] = np.nan
    closed = np.zeros(units.shape, bool)
    closed[1::4, -1] = True
    assert kinds(units, closed=closed) == []


@pytest.mark.parametrize("grain", [1.0, 0.01])
@pytest.mark.parametrize("weather", [0.8, 1.25])
def test_a_doubled_feed_of_restless_series_is_seen_in_its_counts(grain: float, weather: float) -> None:
    """The weather moves all of them, and each is a fifth off: what was added twice is even all the same."""
    units = noisy(80, DAYS, sd=0.18)
    units[2::4, -1] = np.round(units[2::4, -1] * weather) * 2
    assert kinds(units * grain) == [("DATA_QUALITY", "DOUBLED_FEED", "R2")]


def test_a_doubled_file_of_several_is_seen() -> None:
    units = noisy(80, DAYS, sd=0.12)
    units[2:68:4, -1] *= 2
    assert kinds(units) == [("DATA_QUALITY", "DOUBLED_FEED", "R2")]


def test_pairs_are_even_on_every_day_and_prove_nothing(units: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    units[2::4, -1] = np.round(units[2::4, -1] * 2 * np.exp(rng.normal(0, 0.2, 20)))
    assert ("DEMAND", "SPIKE", "R2") in kinds(units * 2)


@pytest.mark.parametrize("scale", [100.0, 10.0, 0.01])
def test_another_unit_is_seen_on_a_day_that_sold_more(scale: float) -> None:
    units = noisy(80, DAYS, sd=0.18)
    units[3::4, -1] = np.round(units[3::4, -1] * 1.5) * scale
    assert kinds(units) == [("DATA_QUALITY", "RESCALED_FEED", "R3")]


def test_a_year_of_restless_shops_has_no_fault() -> None:
    """Each series a fifth off, all together a tenth, and a day now and then on which all sell twice as much."""
    rng = np.random.default_rng(6)
    units = noisy(60, 400, sd=0.18) * np.exp(rng.normal(0, 0.1, (1, 400)))
    units[:, 250::20] *= 2
    found = detect(scene(np.round(units), regions=4), np.arange(240, 400))
    assert "DATA_QUALITY" not in {entry.kind for entry in found.entries}


def small(regions: int, each: int, seed: int = 1, **how: float) -> np.ndarray:
    """Units of a retailer with so few series in each region; those of a region are ``rows_of``."""
    return noisy(regions * each, DAYS, seed=seed, **how)


def told(units: np.ndarray, regions: int, **more: object) -> list[tuple[str, str, str]]:
    found = detect(scene(units, regions=regions, **more), LAST)
    return [(entry.kind, entry.cls, entry.region) for entry in found.entries]


@pytest.mark.parametrize("each", [1, 3, 4])
def test_a_small_region_that_sent_nothing_is_one_fault(each: int) -> None:
    units = small(6, each)
    units[2::6, -1] = np.nan
    assert told(units, 6) == [("DATA_QUALITY", "MISSING_FEED", "R2")]


@pytest.mark.parametrize("each", [1, 3, 4])
def test_half_of_many_small_regions_that_sent_nothing_are_one_fault_of_all(each: int) -> None:
    units = small(8, each)
    for region in range(4):
        units[region::8, -1] = np.nan
    assert told(units, 8) == [("DATA_QUALITY", "PARTIAL_FEED", "")]


@pytest.mark.parametrize(("factor", "cls"), [(2.0, "DOUBLED_FEED"), (100.0, "RESCALED_FEED"), (0.01, "RESCALED_FEED")])
@pytest.mark.parametrize(("regions", "each"), [(6, 1), (6, 3), (1, 4), (1, 3)])
def test_a_small_retailer_with_a_wrong_feed_has_one_fault_and_no_demand(
    regions: int, each: int, factor: float, cls: str
) -> None:
    """Also one without regions, of which there is but one."""
    units = small(regions, each, sd=0.04)
    units[:, -1] *= factor
    frame = scene(units, regions=regions)
    if regions == 1:
        frame.series["region"] = ""
    found = detect(frame, LAST).entries
    assert [(entry.kind, entry.cls, entry.region) for entry in found] == [("DATA_QUALITY", cls, "")]


@pytest.mark.parametrize(("factor", "each", "cls"), [
    (2.0, 3, "DOUBLED_FEED"), (100.0, 1, "RESCALED_FEED"), (0.01, 2, "RESCALED_FEED"), (10.0, 3, "RESCALED_FEED"),
])  # fmt: skip
def test_a_small_region_of_several_with_a_wrong_feed_is_told_alone(factor: float, each: int, cls: str) -> None:
    units = small(6, each)
    units[2::6, -1] *= factor
    assert told(units, 6) == [("DATA_QUALITY", cls, "R2")]


def test_half_the_series_of_a_small_region_are_part_of_a_feed_and_one_is_not() -> None:
    units = small(6, 4)
    units[[2, 8], -1] = np.nan
    assert told(units, 6) == [("DATA_QUALITY", "PARTIAL_FEED", "R2")]
    units = small(6, 4)
    units[2, -1] = np.nan
    assert told(units, 6) == []


def test_a_single_series_that_sold_twice_as_much_is_demand() -> None:
    """Nobody can tell it from a good day."""
    units = small(6, 1, level=400)
    units[2, -1] *= 2
    assert told(units, 6) == [("DEMAND", "SPIKE", "R2")]


def test_small_regions_that_truly_sell_twice_as_much_hardly_ever_have_a_fault() -> None:
    """Three series in each of thirty regions; on 40 days one of them sells about twice as much."""
    rng = np.random.default_rng(8)
    units = noisy(90, 400, sd=0.15, seed=8)
    for day in range(240, 400, 4):
        units[rng.integers(30) :: 30, day] *= 2 * np.exp(rng.normal(0, 0.05))
    found = detect(scene(np.round(units), regions=30), np.arange(240, 400)).entries
    assert sum(entry.kind == "DATA_QUALITY" for entry in found) <= 3


def test_a_day_of_which_less_than_half_came_is_one_fault_and_nothing_of_it_is_judged(units: np.ndarray) -> None:
    units[:50, -1] = np.nan
    units[71, -1] = 1
    assert kinds(units) == [("DATA_QUALITY", "PARTIAL_FEED", "")]


def test_a_torso_is_less_than_half_of_a_day(units: np.ndarray) -> None:
    """Of half of it the regions that are missing are told; a row less, and it is a feed that stopped."""
    units[0::4, -1] = units[1::4, -1] = np.nan
    assert kinds(units) == [("DATA_QUALITY", "MISSING_FEED", "R0"), ("DATA_QUALITY", "MISSING_FEED", "R1")]
    units[2, -1] = np.nan
    assert kinds(units) == [("DATA_QUALITY", "PARTIAL_FEED", "")]


def test_a_torso_needs_five_rows_that_are_due() -> None:
    units = small(2, 2)
    units[[0, 1, 2], -1] = np.nan
    assert told(units, 2) == [("DATA_QUALITY", "MISSING_FEED", "R0")]
    units = small(2, 3)
    units[[0, 1, 2, 3], -1] = np.nan
    assert told(units, 2) == [("DATA_QUALITY", "PARTIAL_FEED", "")]


def test_a_region_that_sends_most_rows_and_is_missing_is_that_region_alone(units: np.ndarray) -> None:
    """What the others sent is whole, and is judged."""
    units[np.arange(80) % 4 != 3, -1] = np.nan
    units[7, -1] = np.round(units[7, -1] * 0.3)
    frame = scene(units, regions=4)
    frame.series["region"] = np.where(frame.series["region"] == "R3", "R3", "R0")
    found = [(entry.kind, entry.cls, entry.region) for entry in detect(frame, LAST).entries]
    assert found == [("DATA_QUALITY", "MISSING_FEED", "R0"), ("DEMAND", "DROP", "R3")]


def test_a_small_retailer_who_sends_only_what_sold_has_no_torso_on_a_quiet_day() -> None:
    rng = np.random.default_rng(3)
    units = noisy(14, 400, level=30)
    units[rng.random(units.shape) < 0.5] = np.nan
    came = np.isfinite(units[:, 200:]).sum(axis=0)
    assert (came < 3.5).any()  # there are such days
    found = detect(scene(units, regions=2), np.arange(200, 400)).entries
    assert [entry for entry in found if (entry.level, entry.cls) == ("total", "PARTIAL_FEED")] == []


def test_a_feed_that_was_wrong_for_days_is_told_with_the_figures_of_the_day_it_names(units: np.ndarray) -> None:
    units[2::4, -2] *= 2
    units[2::4, -1] *= 2
    found = detect(scene(units, regions=4), np.arange(DAYS - 2, DAYS)).entries
    (episode,) = [one for one in gather(found, [], FIRST) if one.family == "feed"]
    assert len(episode.days) == 2
    assert wording.units(float(units[2::4, -1].sum())) in headline(episode)
    assert wording.day((FIRST + DAYS - 1).astype(date)) in headline(episode)
