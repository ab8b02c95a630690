"""A category as one finding: how many of its series moved with it, and which of them are its members."""

from __future__ import annotations

import numpy as np
import pytest

from tests.anomalies.scenes import noisy, scene
from trendcast.anomalies import categories
from trendcast.anomalies.detect import detect, prepare
from trendcast.anomalies.judging import Judge
from trendcast.anomalies.limits import Limits
from trendcast.anomalies.scene import Stock

DAYS = 240


@pytest.mark.parametrize(("empty", "moved"), [(4, 4), (2, 2)])
def test_all_that_fell_moved_with_it_also_what_no_test_of_its_own_found(empty: int, moved: int) -> None:
    """Where all of a category fell alike, that is taken off each of them: hardly one is found by itself."""
    units = noisy(40, DAYS)
    units[12 : 12 + empty, -1] = 0
    retailer = scene(units, regions=4)
    found = [one for one in detect(retailer, np.array([DAYS - 1])).entries if one.level == "category_region"]
    one = next(one for one in found if one.rows[0] == 12)
    ready = prepare(retailer, np.array([DAYS - 1]))
    judge = Judge(retailer, ready.expected, ready.rest, np.ones(40), Limits.plain(None), 1.0)
    lead = categories.whole(judge, "C003", DAYS - 1, [one])
    assert lead is not None
    assert (lead.facts["leaning"], lead.facts["children"]) == (moved, 4)


def test_the_members_of_an_empty_category_are_those_it_counts() -> None:
    units = noisy(40, DAYS)
    units[12:15, -1] = 0  # C003 in three of its four regions
    out = np.zeros((1, DAYS), bool)
    out[0, -1] = True
    stock = Stock(["C003"], np.where(out, 0.0, 5000.0), out, np.array([7.0]))
    entries = detect(scene(units, regions=4, stock=stock), np.array([DAYS - 1])).entries
    (lead,) = [one for one in entries if one.parent is None]
    members = [one for one in entries if one.parent == lead.key]
    assert (lead.level, lead.cls, lead.facts["leaning"]) == ("category", "STOCK_OUT", 3)
    assert sorted(one.region for one in members) == ["R0", "R1", "R2"]
    assert sum(one.facts["share"] for one in members) == pytest.approx(1, abs=0.1)
