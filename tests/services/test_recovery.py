"""How incidents end by themselves, and that what is wrong again is told again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tests.services import shops
from tests.services.shops import Shop
from trendcast import wording
from trendcast.services import detect_window, incidents
from trendcast.store.engine import Database


@pytest.fixture
def shop(db: Database, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """150 ordinary days that were looked at; of what comes now, people are told."""
    monkeypatch.setattr(shops, "FIRST", datetime.now(UTC).date() - timedelta(days=155))
    monkeypatch.setenv("ALERT_RECIPIENTS", "ann@shop.test")
    shop = Shop(db)
    shop.load(150)
    shop.detect()
    return shop


def days(shop: Shop, until: int) -> None:
    for day in range(shop.loaded + 1, until + 1):
        shop.load(day)
        shop.detect()


def mails(shop: Shop) -> list[str]:
    return [row["reason"] for row in shop.rows("outbox") if row["reason"] != "reminder"]


def outage(shop: Shop, *when: int, to: float = 0.4) -> None:
    for day in when:
        shop.units[2::4, day] = np.round(shop.units[2::4, day] * to)


def test_an_outage_that_is_over_ends_after_two_usual_days_with_one_mail(shop: Shop) -> None:
    outage(shop, 150, 151)
    days(shop, 153)
    (one,) = shop.rows("incident")
    assert (one["status"], mails(shop)) == ("NEW", ["first"])
    days(shop, 154)
    (one,) = shop.rows("incident")
    assert (one["status"], one["note"], one["resolved_by"]) == ("RESOLVED", detect_window.RECOVERED, "TrendCast")
    assert {row["status"] for row in shop.rows("anomaly_log")} == {"RESOLVED"}
    assert mails(shop) == ["first", "resolved"]
    days(shop, 157)
    assert mails(shop) == ["first", "resolved"]
    actions = [row["action"] for row in shop.rows("anomaly_event") if row["action"] != "told"]
    assert actions == ["found", "recovered"]


def test_an_outage_that_goes_on_stays_open(shop: Shop) -> None:
    outage(shop, *range(150, 156))
    days(shop, 156)
    assert {row["status"] for row in shop.rows("incident")} == {"NEW"}


def test_missing_data_end_nothing(shop: Shop) -> None:
    outage(shop, 150)
    shop.units[2::4, 151:154] = np.nan
    days(shop, 154)
    first = min(shop.rows("incident"), key=lambda row: row["id"])
    assert (first["kind"], first["status"]) == ("DEMAND", "NEW")


def test_what_somebody_works_on_is_theirs_only_while_it_lasts(shop: Shop) -> None:
    """A drop that was acknowledged ends; a level shift that was acknowledged is theirs to end."""
    outage(shop, 150)
    row = shop.row("C05", "East")
    shop.units[row, 150:156] = np.round(shop.units[row, 150:156] * 0.75)
    days(shop, 155)
    by_name = {entry["product_category"]: entry for entry in shop.rows("anomaly_log") if entry["lead"]}
    assert by_name["C05"]["class"] == "LEVEL_SHIFT"
    for entry in by_name.values():
        if entry["status"] == "NEW":
            incidents.move(shop.db, shop.clock, entry["incident_id"], "acknowledge", who="anna")
    days(shop, 160)
    now = {entry["product_category"]: entry["status"] for entry in shop.rows("anomaly_log") if entry["lead"]}
    assert now == {"C05": "ACKNOWLEDGED", "": "RESOLVED"}
    (kept,) = (one for one in shop.rows("incident") if one["status"] == "ACKNOWLEDGED")
    found = incidents.incident(shop.db, kept["id"])
    since = wording.day(shop.day(156))
    assert found["next_step"] == f"Back to usual since {since}: resolve it when nothing is left to do."
    assert "so far" not in found["headline"]
    assert found["held"] == 0


def test_a_shift_that_ends_is_over_and_no_new_one(shop: Shop) -> None:
    row = shop.row("C05", "East")
    shop.units[row, 150:157] = np.round(shop.units[row, 150:157] * 0.7)
    days(shop, 160)
    (one,) = shop.rows("incident")
    assert (one["status"], one["note"]) == ("RESOLVED", detect_window.RECOVERED)


def test_a_region_that_is_back_on_its_level_is_over_and_nothing_of_it_is_new(shop: Shop) -> None:
    outage(shop, *range(150, 157), to=0.6)
    days(shop, 160)
    (one,) = shop.rows("incident")
    assert (one["status"], one["note"]) == ("RESOLVED", detect_window.RECOVERED)
    assert "Region South" in one["headline"]


def test_a_level_that_has_stayed_five_days_is_offered_as_the_new_normal(shop: Shop) -> None:
    row = shop.row("C05", "East")
    shop.units[row, 150:] = np.round(shop.units[row, 150:] * 0.7)
    days(shop, 153)
    (one,) = shop.rows("incident")
    assert "new normal" not in incidents.incident(shop.db, one["id"])["next_step"]
    days(shop, 160)
    (one,) = shop.rows("incident")
    found = incidents.incident(shop.db, one["id"])
    assert one["status"] == "NEW"  # it is not back, whatever is expected by now
    said = "It has stayed so for 5 days or more: accept it as the new normal, or find out what changed."
    assert (found["next_step"], found["held"]) == (said, 5)


def corrected(shop: Shop, day: int, values: Any) -> None:
    shop.units[:, day] = values
    shop.load(shop.loaded, first=day)
    shop.detect()


def test_a_day_that_is_wrong_again_is_told_again(shop: Shop) -> None:
    right = shop.units[:, 150].copy()
    outage(shop, 150)
    wrong = shop.units[:, 150].copy()
    days(shop, 151)
    corrected(shop, 150, right)
    (one,) = shop.rows("incident")
    assert (one["status"], one["note"], mails(shop)) == ("RESOLVED", detect_window.CORRECTED, ["first", "resolved"])
    corrected(shop, 150, wrong)
    (one,) = shop.rows("incident")
    assert (one["status"], one["note"], one["resolved_at"]) == ("NEW", None, None)
    assert {(row["status"], row["note"]) for row in shop.rows("anomaly_log")} == {("NEW", None)}
    assert mails(shop) == ["first", "resolved", "first"]
    assert len({row["dedup_key"] for row in shop.rows("outbox")}) == 3
    actions = [row["action"] for row in shop.rows("anomaly_event") if row["action"] != "told"]
    assert actions == ["found", "corrected", "reopened"]
    corrected(shop, 150, right)
    (one,) = shop.rows("incident")
    assert one["status"] == "RESOLVED"


def test_what_a_person_settled_is_not_begun_anew(shop: Shop) -> None:
    outage(shop, 150)
    days(shop, 151)
    (one,) = shop.rows("incident")
    incidents.move(shop.db, shop.clock, one["id"], "resolve", note="The tills were down.", who="anna")
    corrected(shop, 150, shop.units[:, 150] - 1)
    (one,) = shop.rows("incident")
    assert (one["status"], one["note"]) == ("RESOLVED", "The tills were down.")


def test_demand_that_a_missing_feed_hid_is_told_when_it_arrives(shop: Shop) -> None:
    outage(shop, 150)
    truth = shop.units[:, 150].copy()
    shop.units[2::4, 150] = np.nan
    days(shop, 152)  # on its own day it was given time to arrive
    assert [(row["kind"], row["status"]) for row in shop.rows("incident")] == [("DATA_QUALITY", "NEW")]
    corrected(shop, 150, truth)
    found = {row["kind"]: (row["status"], row["note"]) for row in shop.rows("incident")}
    assert found == {"DATA_QUALITY": ("RESOLVED", detect_window.ARRIVED), "DEMAND": ("NEW", None)}
    assert mails(shop).count("first") == 2
