"""What makes up most of a node's gap, told by what was known before the day."""

from __future__ import annotations

import numpy as np
import pytest

from tests.anomalies.scenes import noisy, scene
from trendcast.anomalies.attribution import explained
from trendcast.anomalies.detect import detect

DAYS, DAY = 240, 220


@pytest.mark.parametrize("later", [100.0, 45_000.0])
def test_the_name_that_differs_most_from_its_part_before_that_day_is_told(later: float) -> None:
    """Whatever it sells after that day."""
    units = np.full((40, DAYS), 100.0)
    units[12:16, DAY + 1 :] = later  # C003 in its four regions
    given, every = scene(units, regions=4), np.arange(40)
    share = np.where(given.series["product_category"] == "C003", 0.8 / 4, 0.2 / 36)
    (told,) = explained(given, every, DAY, share)
    assert (told["dimension"], told["name"], told["share"]) == ("product_category", "C003", pytest.approx(0.8))
    assert explained(given, every, DAY, np.full(40, 1 / 40)) == []


@pytest.mark.parametrize("fell", [np.arange(1, 80, 2), np.arange(0, 16, 2)], ids=["all of a region", "some of it"])
def test_nothing_that_is_said_of_a_day_knows_what_came_after_it(fell: np.ndarray) -> None:
    units = noisy(80, DAYS, sd=0.05)
    units[fell, DAY] = np.round(units[fell, DAY] * 0.5)
    later = units.copy()
    later[:20, DAY + 1 :] *= 9
    one, other = (
        detect(scene(each, regions=2, value=np.full(80, 20.0)), np.array([DAY])).entries for each in (units, later)
    )
    assert one[0].level == "region"
    assert [(entry.key, entry.cls, entry.impact, entry.days, entry.facts) for entry in one] == [
        (entry.key, entry.cls, entry.impact, entry.days, entry.facts) for entry in other
    ]
