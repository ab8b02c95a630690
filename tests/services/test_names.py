"""A name that does not exist brings the nearest that do."""

from __future__ import annotations

import time

from trendcast.services.names import nearest

NAMES = ("Electronics", "Clothing", "Home & Garden", "Toys", "")


def test_a_slip_finds_its_name() -> None:
    assert nearest("Electroncs", NAMES) == ("Electronics",)
    assert nearest("ELECTRONICS", NAMES) == ("Electronics",)
    assert nearest("garden", NAMES) == ("Home & Garden",)


def test_nothing_near_finds_nothing() -> None:
    assert nearest("zzzzzz", NAMES) == ()
    assert nearest("", NAMES) == ()
    assert nearest("  ", NAMES) == ()
    assert nearest("Electronics", ()) == ()


def test_at_most_three_best_first() -> None:
    names = [f"Category {number:03d}" for number in range(500)]
    found = nearest("Category 07", names)
    assert len(found) == 3
    assert found[0] in names


def test_a_hostile_name_costs_no_time() -> None:
    names = [f"Category {number:03d}" for number in range(5000)]
    started = time.process_time()
    nearest("Category " * 10_000, names)
    assert time.process_time() - started < 1.0
