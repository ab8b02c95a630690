"""Thresholds: where they hold, that a preview replays the detector and writes nothing, that each change is logged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.services.shops import Shop
from trendcast.errors import Conflict, InvalidInput, NotFound
from trendcast.services import incidents, thresholds
from trendcast.store.engine import Database
from trendcast.wording import NARROW

TABLES = ("anomaly_log", "incident", "anomaly_event", "detection_run", "outbox", "audit", "threshold")


@pytest.fixture
def shop(db: Database) -> Shop:
    return Shop(db)


def put(shop: Shop, name: str, value: float, **scope: str) -> int:
    how = {"reason": "Too many mails.", "who": "anna", **scope}
    return thresholds.put(shop.db, shop.clock, name=name, value=value, **how)


def impacts(shop: Shop) -> dict[str, str]:
    found = {}
    for row in shop.rows("anomaly_log"):
        found[row["product_category"]] = row["impact_level"]
    return found


def test_the_narrowest_threshold_that_fits_holds(shop: Shop) -> None:
    """Of four series that lost as much, each is judged by the figure nearest to it."""
    names = ("C01", "C02", "C03", "C04")
    for name in names:
        shop.units[shop.row(name, "North"), 159] = 5
    shop.load(158)
    shop.detect()
    put(shop, "high_loss", 1e9)
    put(shop, "high_loss", 100.0, level="category", product_category="C02")
    put(shop, "high_loss", 1e9, level="category_region", product_category="C02", region="North")
    put(shop, "high_loss", 100.0, level="category_region", product_category="C03", region="North")
    put(shop, "high_loss", 100.0, level="category", product_category="C04")
    shop.load(160)
    shop.detect()
    assert impacts(shop) == {"C01": "MEDIUM", "C02": "MEDIUM", "C03": "HIGH", "C04": "HIGH"}


def test_changes_and_counts_below_a_threshold_are_not_looked_at(shop: Shop) -> None:
    for name in ("C01", "C02", "C03"):
        shop.units[shop.row(name, "North"), 159] *= 0.6
    shop.load(158)
    shop.detect()
    put(shop, "least_change", 0.8, level="category", product_category="C01")
    put(shop, "least_units", 1e6, level="region", region="North")
    put(shop, "least_units", 2.0, level="category_region", product_category="C03", region="North")
    shop.load(160)
    shop.detect()
    assert set(impacts(shop)) == {"C03"}


def test_a_preview_replays_ninety_days_and_writes_nothing(shop: Shop) -> None:
    for day in (80, 100, 120, 140):
        shop.units[shop.row("C05", "East"), day] = 3
    shop.units[shop.row("C07", "West"), 130] = 3
    shop.load(160)
    shop.detect()
    log = shop.rows("anomaly_log")
    mine = next(row for row in log if row["product_category"] == "C05" and row["detected_date"] == shop.day(140))
    incidents.move(shop.db, shop.clock, mine["incident_id"], "confirmed", who="anna")
    before = {table: shop.rows(table) for table in TABLES}
    scope = {"level": "category", "product_category": "C05"}
    gone = thresholds.preview(shop.db, shop.clock, name="least_change", value=5.0, **scope)
    assert {table: shop.rows(table) for table in TABLES} == before
    # Of the five, the 80th day is one of the last ninety; each was HIGH and had a mail of its own.
    assert (gone.days, gone.before, gone.after) == (90, 5, 1)
    assert (gone.high_before, gone.high_after, gone.mails_before, gone.mails_after) == (5, 1, 5, 1)
    assert gone.lost_confirmed == 1
    assert gone.sentence.replace(NARROW, " ") == (
        "In the last 90 days it would have raised 1 incident instead of 5 and sent 1 mail instead of 5, "
        "and would have missed 1 that somebody confirmed."
    )
    assert {(one["before"], one["after"]) for one in gone.examples} == {("HIGH", None)}
    assert all("C05" in one["headline"] for one in gone.examples)
    quieter = thresholds.preview(shop.db, shop.clock, name="high_loss", value=1e9)
    assert (quieter.before, quieter.after, quieter.mails_after, quieter.lost_confirmed) == (5, 5, 0, 0)
    assert {(one["before"], one["after"]) for one in quieter.examples} == {("HIGH", "MEDIUM")}


def test_a_preview_of_taking_a_threshold_back(shop: Shop) -> None:
    shop.units[shop.row("C05", "East"), 140] = 3
    shop.load(160)
    put(shop, "least_change", 5.0)
    seen = thresholds.preview(shop.db, shop.clock, name="least_change", value=None)
    assert (seen.before, seen.after) == (0, 1)
    assert "1 incident instead of 0" in seen.sentence.replace(NARROW, " ")


def test_without_sales_there_is_nothing_to_preview(db: Database) -> None:
    with pytest.raises(Conflict, match="no sales"):
        thresholds.preview(db, Shop(db).clock, name="high_loss", value=5.0)


def test_each_change_is_logged_with_what_was_before(shop: Shop) -> None:
    shop.load(30)
    number = put(shop, "high_loss", 500.0, level="category", product_category="C02")
    assert put(shop, "high_loss", 800.0, level="category", product_category="C02", reason="Still.") == number
    (row,) = thresholds.listed(shop.db).to_dict("records")
    assert (row["id"], row["value"], row["reason"], row["set_by"], row["product_category"]) == (
        number, 800.0, "Still.", "anna", "C02",
    )  # fmt: skip
    thresholds.remove(shop.db, shop.clock, number, who="ben")
    assert thresholds.listed(shop.db).empty
    log = [
        (row["actor"], row["action"], row["object"], (row["before"] or {}).get("value")) for row in shop.rows("audit")
    ]
    assert log == [
        ("anna", "threshold set", "threshold:high_loss:category:C02", None),
        ("anna", "threshold changed", "threshold:high_loss:category:C02", 500.0),
        ("ben", "threshold removed", "threshold:high_loss:category:C02", 800.0),
    ]
    with pytest.raises(NotFound):
        thresholds.remove(shop.db, shop.clock, number, who="ben")


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ({"name": "volume"}, InvalidInput, "no threshold"),
        ({"level": "shelf"}, InvalidInput, "no level"),
        ({"level": "category"}, InvalidInput, "which category"),
        ({"region": "North"}, InvalidInput, "has no region"),
        ({"value": np.nan}, InvalidInput, "lies between"),
        ({"value": -1.0}, InvalidInput, "lies between"),
        ({"level": "category", "product_category": "C99"}, NotFound, "no sales of C99"),
        ({"reason": " "}, InvalidInput, "why"),
    ],
)
def test_what_cannot_be_a_threshold_is_refused(shop: Shop, how: dict[str, Any], error: type, said: str) -> None:
    shop.load(30)
    with pytest.raises(error, match=said):
        put(shop, **{"name": "high_loss", "value": 5.0, **how})
    assert shop.rows("threshold") == []
    assert shop.rows("audit") == []


def test_every_name_has_words_and_bounds() -> None:
    for name in thresholds.NAMES.values():
        assert name.label
        assert name.default.endswith(".")
        assert name.lowest < name.highest
        assert name.unit in ("money", "units", "share")
