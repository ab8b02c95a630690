"""A promotion whose uplift is absent is a finding of its own, where the uplift is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.anomalies.scenes import FIRST, noisy, scene
from trendcast.anomalies.detect import detect
from trendcast.anomalies.entries import Entry
from trendcast.anomalies.incidents import gather
from trendcast.anomalies.promotions import CLASS
from trendcast.anomalies.scene import Stock

DAYS = 240
RUNS = [20, 60, 100, 140, 180, DAYS - 4]  # first days of promotions of four days, the last one running


def promoted(rows: int = 40, lift: float = 1.4, runs: list[int] = RUNS) -> tuple[np.ndarray, np.ndarray]:
    """Units with that lift in every promotion, and the promotions."""
    units, promotion = noisy(rows, DAYS, sd=0.06), np.zeros((rows, DAYS))
    for start in runs:
        promotion[:, start : start + 4] = 1
    units[promotion == 1] *= lift
    return np.round(units), promotion


def leads(units: np.ndarray, days: np.ndarray | None = None, **more: object) -> list[Entry]:
    found = detect(scene(units, regions=4, **more), np.arange(DAYS - 4, DAYS) if days is None else days)
    return [one for one in found.entries if one.parent is None and one.day == DAYS - 1]


def test_a_promotion_that_did_not_lift_one_series_is_told_as_such() -> None:
    units, promotion = promoted()
    assert leads(units, promotion=promotion) == []
    units[6, -4:] = np.round(units[6, -4:] / 1.4)
    (entry,) = leads(units, promotion=promotion)
    assert (entry.cls, entry.kind, entry.direction, entry.start) == (CLASS, "DEMAND", -1, DAYS - 4)
    assert entry.key[1:3] == ("C001", "R2")
    assert entry.facts["lift"] == pytest.approx(0.4, abs=0.1)
    assert entry.facts["came"] == pytest.approx(0.0, abs=0.08)
    assert len(entry.days) == 4


def test_a_weak_promotion_is_found_by_its_days_together() -> None:
    """A day alone says nothing: a third is missing where an eighth is noise."""
    units, promotion = promoted(lift=1.4)
    rng = np.random.default_rng(3)
    units = np.round(units * np.exp(rng.normal(0, 0.1, units.shape)))
    units[6, -4:] = np.round(units[6, -4:] / 1.4)
    entries = detect(scene(units, regions=4, promotion=promotion), np.arange(DAYS - 4, DAYS)).entries
    found = {one.day: one.key[1:3] for one in entries if one.cls == CLASS}
    assert found[DAYS - 1] == ("C001", "R2")
    assert DAYS - 4 not in found


def test_a_promotion_that_failed_in_all_regions_is_one_matter_of_the_category() -> None:
    units, promotion = promoted()
    units[8:12, -4:] = np.round(units[8:12, -4:] / 1.4)
    found = detect(scene(units, regions=4, promotion=promotion), np.array([DAYS - 1]))
    mine = [one for one in found.entries if one.product_category == "C002"]
    (lead,) = [one for one in mine if one.parent is None]
    assert (lead.level, lead.cls) == ("category", CLASS)
    assert all(one.parent == lead.key for one in mine if one is not lead)
    assert [one for one in found.entries if one.product_category != "C002"] == []


def test_what_is_not_known_to_lift_is_not_missed() -> None:
    units, promotion = promoted(runs=[140, DAYS - 4])
    units[6, -4:] = np.round(units[6, -4:] / 1.4)
    assert CLASS not in {one.cls for one in leads(units, promotion=promotion)}
    flat, promotion = promoted(lift=1.0)
    assert leads(flat, promotion=promotion) == []


def test_sales_below_those_without_a_promotion_are_a_drop() -> None:
    units, promotion = promoted()
    units[6, -1] = np.round(units[6, -1] * 0.2)
    (entry,) = leads(units, np.array([DAYS - 1]), promotion=promotion)
    assert entry.cls == "DROP"


def test_an_empty_shelf_and_a_closed_region_come_before_the_promotion() -> None:
    units, promotion = promoted()
    units[8:12, -1] = 0
    out = np.zeros((1, DAYS), bool)
    out[0, -1] = True
    stock = Stock(["C002"], np.where(out, 0.0, 9000.0), out, np.array([7.0]))
    assert {one.cls for one in leads(units, np.array([DAYS - 1]), promotion=promotion, stock=stock)} == {"STOCK_OUT"}
    units, promotion = promoted()
    units[2::4, -1] = np.round(units[2::4, -1] * 0.3)
    (entry,) = leads(units, np.array([DAYS - 1]), promotion=promotion)
    assert (entry.level, entry.region, entry.cls) == ("region", "R2", "DROP")


def test_without_a_failed_promotion_hardly_any_is_called_so() -> None:
    """Of 2,000 promotions that lift as ever, with noise around their uplift."""
    rng = np.random.default_rng(4)
    units, promotion = promoted(rows=400)
    lifts = np.exp(rng.normal(0, 0.05, (400, len(RUNS))))
    for number, start in enumerate(RUNS):
        units[:, start : start + 4] *= lifts[:, number : number + 1]
    found = [
        one
        for start in RUNS[3:]
        for one in detect(scene(np.round(units), regions=4, promotion=promotion), np.arange(start, start + 4)).entries
    ]
    assert len({one.key for one in found if one.cls == CLASS}) <= 6


def test_a_promotion_that_was_weak_everywhere_is_no_matter_of_each() -> None:
    """Uplifts go apart as they ever did, and this time all are weaker: it is told of the whole or not at all."""
    rng = np.random.default_rng(5)
    units, promotion = promoted(rows=200)
    for start in RUNS:
        units[:, start : start + 4] *= np.exp(rng.normal(0, 0.12, (200, 1)))
    units[:, -4:] *= 0.82
    found = detect(scene(np.round(units), regions=4, promotion=promotion), np.arange(DAYS - 4, DAYS)).entries
    assert len({one.key for one in found if one.cls == CLASS and one.level != "total"}) <= 4


def restless() -> tuple[np.ndarray, np.ndarray]:
    """Promotions that bring now more and now less: what one brought says little about the next."""
    rng = np.random.default_rng(11)
    units, promotion = promoted(lift=1.5)
    for start in RUNS[:-1]:
        units[:, start : start + 4] *= np.exp(rng.normal(0, 0.2, (40, 1)))
    return np.round(units), promotion


def by_series(units: np.ndarray, promotion: np.ndarray) -> dict[int, list[Entry]]:
    """What is said of each series while the last promotion runs."""
    found: dict[int, list[Entry]] = {}
    for one in detect(scene(units, regions=4, promotion=promotion), np.arange(DAYS - 4, DAYS)).entries:
        if len(one.rows) == 1:
            found.setdefault(int(one.rows[0]), []).append(one)
    return found


def test_what_is_found_as_a_low_day_or_level_is_told_as_the_promotion_it_is() -> None:
    """From its first day on, and although promotions go apart too much for one of them to be surely weak; one that
    lifted and then fell by half, or had fallen before it began, is none of that kind."""
    units, promotion = restless()
    units[6, -4:] = np.round(units[6, -4:] / 1.4)
    for number in range(4):  # one series on each day of the promotion
        units[13 + 5 * number, DAYS - 4 + number] *= 0.5
    units[9, -11:] *= 0.7
    found = by_series(np.round(units), promotion)
    assert {one.cls for one in found[6]} == {CLASS}
    assert {one.start for one in found[6]} == {DAYS - 4}
    assert found[6][0].day == DAYS - 4
    assert all(one.facts["came"] < 0.5 * one.facts["lift"] for one in found[6])
    assert [(found[13 + 5 * number][0].cls, found[13 + 5 * number][0].day) for number in range(4)] == [
        ("DROP", DAYS - 4 + number) for number in range(4)
    ]
    assert CLASS not in {one.cls for row in (9, 13, 18, 23, 28) for one in found.get(row, [])}


def test_an_entry_that_began_as_a_level_is_of_the_promotion_once_that_is_told_apart() -> None:
    units, promotion = promoted()
    units[6, -4:] = np.round(units[6, -4:] / 1.4)
    entries = by_series(units, promotion)[6]
    entries[0].cls = "LEVEL_SHIFT"
    (episode,) = gather(entries, [], FIRST)
    assert (episode.cls, len(episode.days)) == (CLASS, 4)
    older = replace(entries[0], cls="LEVEL_SHIFT", day=DAYS - 6, start=DAYS - 9, days=[])
    older.days = [replace(entries[0].days[0], day=DAYS - 6)]
    (episode,) = gather([older, *entries[1:]], [], FIRST)
    assert episode.cls == "LEVEL_SHIFT"


@pytest.mark.parametrize("day", [14, 17, 21])
def test_a_promotion_of_weeks_that_does_nothing_is_told_as_such_to_its_last_day(day: int) -> None:
    """Its own first weeks are no earlier promotion, nor what is usual before it."""
    units, promotion = noisy(40, DAYS, sd=0.04), np.zeros((40, DAYS))
    for start, length in ((50, 10), (90, 10), (130, 10), (170, 10), (DAYS - 21, 21)):
        promotion[:, start : start + length] = 1
        units[:, start : start + length] *= 1.4
    units[6, -21:] /= 1.4
    last = DAYS - 22 + day
    (entry,) = [
        one
        for one in detect(scene(np.round(units), regions=4, promotion=promotion), np.array([last])).entries
        if 6 in one.rows
    ]
    assert (entry.cls, entry.key[1:3]) == (CLASS, ("C001", "R2"))
