"""Gate A: a feed that is missing, in part, twice or in another unit is one matter of data, and never one of demand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.anomalies.scenes import noisy, scene
from trendcast.anomalies.detect import detect

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
