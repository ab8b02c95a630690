"""What people's verdicts do to the detector, and that taking one back undoes it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tests.services.shops import Shop
from trendcast.errors import InvalidInput
from trendcast.services import feedback, incidents
from trendcast.store.engine import Database


def move(shop: Shop, incident_id: int, action: str, **how: Any) -> dict[str, Any]:
    return incidents.move(shop.db, shop.clock, incident_id, action, **{"who": "anna", **how})


def of(shop: Shop, day: int) -> list[dict[str, Any]]:
    """The entries whose worst day that is."""
    return [row for row in shop.rows("anomaly_log") if row["detected_date"] == shop.day(day)]


def drop(shop: Shop, category: str, region: str, day: int, to: float) -> None:
    row = shop.row(category, region)
    shop.units[row, day] = np.round(shop.units[row, day] * to)


class TestExpected:
    """A street party halves a region for a day, and comes again."""

    EVENT = "Street party"

    @pytest.fixture
    def shop(self, db: Database) -> Shop:
        shop = Shop(db)
        for day in (140, 158):
            shop.units[1::4, day] = np.round(shop.units[1::4, day] * 0.5)
        shop.load(140)
        shop.detect()
        shop.load(141)
        shop.detect()
        return shop

    def test_it_is_expected_when_its_name_comes_again(self, shop: Shop) -> None:
        (one,) = shop.rows("incident")
        event = {
            "name": self.EVENT, "region": "North", "first_day": shop.day(140), "last_day": shop.day(140),
            "again": shop.day(158),
        }  # fmt: skip
        move(shop, one["id"], "expected", note="The street party.", event=event)
        known = shop.db.frame("look_events", from_day=shop.day(0), to_day=shop.day(170), regions=["North"])
        assert [(row.date_id.date(), row.event) for row in known.itertuples()] == [
            (shop.day(140), self.EVENT), (shop.day(158), self.EVENT),
        ]  # fmt: skip
        shop.load(159)
        result = shop.detect()
        assert [row for row in result["anomalies"] if row["date"] == str(shop.day(158))] == []

    def test_without_the_event_or_with_it_taken_back_it_is_told_again(self, shop: Shop) -> None:
        (one,) = shop.rows("incident")
        event = {"name": self.EVENT, "region": "North", "first_day": shop.day(140), "last_day": shop.day(140),
                 "again": shop.day(158)}  # fmt: skip
        move(shop, one["id"], "expected", note="The street party.", event=event)
        assert len(incidents.incident(shop.db, one["id"])["calendar"]) == 2
        back = move(shop, one["id"], "undo")
        assert (back["status"], back["disposition"]) == ("NEW", None)
        assert incidents.incident(shop.db, one["id"])["calendar"].empty
        assert shop.db.frame("look_events", from_day=shop.day(0), to_day=shop.day(170), regions=["North"]).empty
        shop.load(159)
        shop.detect()
        assert {row["region"] for row in of(shop, 158)} == {"North"}

    def test_another_verdict_ends_the_event_and_undo_brings_it_back(self, shop: Shop) -> None:
        (one,) = shop.rows("incident")
        event = {"name": self.EVENT, "first_day": shop.day(140), "last_day": shop.day(141)}
        move(shop, one["id"], "expected", note="A party.", event=event)
        move(shop, one["id"], "confirmed")
        assert incidents.incident(shop.db, one["id"])["calendar"].empty
        move(shop, one["id"], "undo")
        (row,) = incidents.incident(shop.db, one["id"])["calendar"].to_dict("records")
        assert (row["event"], row["region"], row["set_by"]) == (self.EVENT, "", "anna")

    def test_what_it_did_is_remembered_for_longer_than_the_window(self, shop: Shop, db: Database) -> None:
        """A year later its days are no longer read, but what was said of them is."""
        from trendcast.services.detect_window import Window, read_state

        (one,) = shop.rows("incident")
        event = {"name": self.EVENT, "region": "North", "first_day": shop.day(140), "last_day": shop.day(140),
                 "again": shop.day(158)}  # fmt: skip
        move(shop, one["id"], "expected", note="The street party.", event=event)
        shop.load(159)
        state = read_state(db)
        state["first_sale"] = shop.day(142)
        with db.read() as connection:
            window = Window(db, connection, state, shop.clock())
        (taught,) = window.scene.taught
        assert window.scene.events[taught.event] == (self.EVENT, 0)
        north = np.flatnonzero((window.scene.series["region"] == "North").to_numpy())
        assert sorted(taught.rows) == sorted(north)
        assert np.exp(taught.effects) == pytest.approx(0.5, abs=0.1)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"name": " "}, "name"),
            ({"last_day": None}, "first and a last day"),
            ({"last_day": timedelta(days=70)}, "first and a last day"),
            ({"again": timedelta(days=0)}, "after its last day"),
        ],
    )
    def test_an_event_needs_a_name_and_days(self, shop: Shop, changes: dict[str, Any], said: str) -> None:
        (one,) = shop.rows("incident")
        first = shop.day(140)
        event = {"name": "Party", "first_day": first, "last_day": first}
        event |= {key: first + value if isinstance(value, timedelta) else value for key, value in changes.items()}
        with pytest.raises(InvalidInput, match=said):
            move(shop, one["id"], "expected", note="A party.", event=event)
        with pytest.raises(InvalidInput, match="Only what was expected"):
            move(shop, one["id"], "confirmed", event=event)
        assert shop.rows("learnt_event") == []


def test_false_alarms_make_the_detector_ask_for_more_until_they_are_taken_back(db: Database) -> None:
    """What that does to the next finding is told in tests/anomalies/test_feedback.py."""
    from trendcast.services.detect_window import Window, read_state

    shop = Shop(db)
    for category in ("C01", "C02", "C03"):
        drop(shop, category, "West", 150, 0.3)
    shop.load(150)
    shop.detect()
    shop.load(151)
    shop.detect()

    def factor() -> float:
        state = read_state(db)
        with db.read() as connection:
            window = Window(db, connection, state, shop.clock())
        return window.limits.trust.factor("category_region", "DROP", 400.0)

    assert factor() == 1
    for row in of(shop, 150):
        move(shop, row["incident_id"], "false_alarm")
    (kind,) = feedback.precision(db).to_dict("records")
    assert (kind["level"], kind["family"], kind["volume"]) == (
        "Categories in a region", "single days", "over 200 a day",
    )  # fmt: skip
    assert (kind["confirmed"], kind["false_alarms"]) == (0, pytest.approx(3, abs=0.1))
    assert kind["precision"] == pytest.approx(1 / 5, abs=0.01)
    assert kind["factor"] == pytest.approx(factor())
    assert factor() == pytest.approx(0.4, abs=0.02)
    assert "2.5 times as sure" in kind["said"]
    for row in of(shop, 150):
        move(shop, row["incident_id"], "undo")
    assert factor() == 1
    assert feedback.precision(db).empty


def test_a_fault_of_the_data_is_known_again(db: Database) -> None:
    """The till of a region that reports a third is told as such the next time, not as a lack of demand."""
    shop = Shop(db)
    for day in (150, 158):
        shop.units[1::4, day] = np.round(shop.units[1::4, day] * 0.33)
    shop.load(150)
    shop.detect()
    shop.load(151)
    shop.detect()
    (one,) = shop.rows("incident")
    move(shop, one["id"], "data_issue", note="The tills sent a third.")
    shop.load(159)
    dry = shop.detect(dry_run=True)
    assert [(row["kind"], row["class"], row["region"]) for row in dry["anomalies"]] == [
        ("DATA_QUALITY", "KNOWN_FAULT", "North")
    ]
    move(shop, one["id"], "undo")
    shop.detect()
    assert {row["kind"] for row in of(shop, 158)} == {"DEMAND"}


def test_a_known_fault_says_what_it_is_like(db: Database) -> None:
    shop = Shop(db)
    for day in (150, 158):
        shop.units[1::4, day] = np.round(shop.units[1::4, day] * 0.33)
    for until in (150, 151):
        shop.load(until)
        shop.detect()
    (one,) = shop.rows("incident")
    move(shop, one["id"], "data_issue", note="The tills sent a third.")
    shop.load(159)
    shop.detect()
    known = next(row for row in shop.rows("incident") if row["kind"] == "DATA_QUALITY")
    found = incidents.incident(db, known["id"])
    assert "33" in found["headline"]
    assert "somebody found that the data were wrong" in found["headline"]
    assert len(found["rule"]) == 2
    assert found["next_step"].startswith("Have the file checked")


def test_after_a_new_normal_the_series_is_as_alert_as_before(db: Database) -> None:
    """The accepted step is no noise: a drop of the same size at the new level is found, nothing else is."""
    shop = Shop(db)
    row = shop.row("C03", "East")
    shop.units[row, 130:] = np.round(shop.units[row, 130:] * 0.6)
    shop.units[row, 158] = np.round(shop.units[row, 158] * 0.6)
    shop.load(130)
    shop.detect()
    for until in (132, 134):
        shop.load(until)
        shop.detect()
    (one,) = [entry for entry in shop.rows("anomaly_log") if entry["lead"]]
    move(shop, one["incident_id"], "new_normal")
    shop.load(160)
    found = shop.detect()["anomalies"]
    assert [(entry["date"], entry["class"]) for entry in found if entry["date"] >= str(shop.day(136))] == [
        (str(shop.day(158)), "DROP")
    ]
