"""The alert pages on a real PostgreSQL: an incident is read, settled and told of, and people set who hears what."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from trendcast import settings as settings_table
from trendcast.services import alerts, detect, incidents, recipients, runtime, thresholds
from trendcast.services.progress import silent
from trendcast.store.engine import Database
from trendcast.ui import reads
from trendcast.ui.live import LiveProvider


def clock() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@pytest.fixture(scope="module")
def checked(clone_demo: Callable[[str], Database]) -> Database:
    """The published demo retailer after a check for anomalies, to write into."""
    database = clone_demo("alert_pages")
    detect.detect(database, clock, silent, None)
    return database


@pytest.fixture
def here(checked: Database, monkeypatch: pytest.MonkeyPatch, make_retailer: Any) -> Iterator[Database]:
    """The dashboard of this process on that database; mail has a recipient and no server."""
    for name in ("SMTP_SERVER", "ALERT_FROM_EMAIL", "ALERT_WEBHOOK_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALERT_RECIPIENTS", "boss@example.com")
    monkeypatch.setenv("DATABASE_URL", checked.url)
    monkeypatch.setattr(reads, "provider", LiveProvider())
    runtime.process.close()
    yield checked
    runtime.process.close()


def words(app: Any) -> str:
    kinds = ("header", "markdown", "caption", "warning", "error", "success")
    said = "\n".join(str(element.value) for kind in kinds for element in app.get(kind))
    for mark in ("\\", "\u2060", "\u2068", "\u2069"):
        said = said.replace(mark, "")
    return said


def unsettled(db: Database) -> list[int]:
    return [int(number) for number in incidents.inbox(db, statuses=("NEW",))["incident_id"]]


def told(db: Database, number: int) -> None:
    """The incident as if it had just been found: HIGH, and its mail written."""
    with db.transaction() as connection:
        connection.exec_driver_sql("UPDATE incident SET told = NULL, impact = 'HIGH' WHERE id = %s", (number,))
        assert alerts.announce(db, connection, settings_table.load(), clock())["first"] == 1


def test_from_the_mails_link_to_settled_on_the_real_thing(here: Database, open_page: Any) -> None:
    number = unsettled(here)[0]
    told(here, number)
    app = open_page("anomaly-inbox", incident=str(number))
    assert not app.exception
    assert not app.error
    found = incidents.incident(here, number)
    # What was rendered can be read, and it says what keeps it from being sent.
    assert "not sent. No mail is sent: SMTP_SERVER and ALERT_FROM_EMAIL are not set." in words(app)
    assert str(found["mails"].iloc[0]["body_text"]).strip() in [one.value.strip() for one in app.text]
    assert all(len(chart.proto.alt) > 40 for chart in app.get("plotly_chart"))
    assert "Stock-out" in app.get("plotly_chart")[0].proto.alt
    key = f"incident_{number}_{found['version']}"
    app.get_by_key(f"{key}_resolve").click().run()
    app.get_by_key(f"{key}_note").set_value("A burst pipe.")
    app.get_by_key(f"{key}_resolve_do").click().run()
    assert "The incident was resolved." in words(app)
    after = incidents.incident(here, number)
    assert (after["status"], after["note"], after["owner"]) == ("RESOLVED", "A burst pipe.", "local")
    app.get_by_key("inbox_undo").click().run()
    assert incidents.incident(here, number)["status"] == "NEW"
    data = open_page("data", part="alerts")
    assert not data.exception
    listed = next(frame.value for frame in data.dataframe if "Subject" in frame.value)
    assert listed[["State", "To"]].iloc[0].tolist() == ["Kept here", "boss@example.com"]
    assert "are not set. 1\u202fmessage is kept here to be read." in words(data)


def test_somebody_faster_is_told_from_an_error(here: Database, open_page: Any) -> None:
    number = unsettled(here)[0]
    app = open_page("anomaly-inbox", incident=str(number))
    incidents.move(here, clock, number, "acknowledge", who="ann")
    app.get_by_key("incident_acknowledge").click().run()
    assert not app.exception
    assert "look, then decide again" in words(app)
    assert "owner ann" in words(app)
    incidents.move(here, clock, number, "undo", who="ann")


def test_what_was_expected_is_in_the_calendar_and_goes_with_the_undo(here: Database, open_page: Any) -> None:
    number = unsettled(here)[0]
    app = open_page("anomaly-inbox", incident=str(number))
    key = f"incident_{number}_{incidents.incident(here, number)['version']}"
    app.get_by_key(f"{key}_verdict").click().run()
    app.get_by_key(f"{key}_judged").set_value("expected").run()
    app.get_by_key(f"{key}_event_name").set_value("Street festival")
    app.get_by_key(f"{key}_verdict_do").click().run()
    assert not app.exception
    calendar = incidents.incident(here, number)["calendar"]
    assert calendar["event"].tolist() == ["Street festival"]
    assert "Street festival" in words(app)
    app.get_by_key("inbox_undo").click().run()
    assert incidents.incident(here, number)["calendar"].empty


def test_a_recipient_and_a_threshold_set_on_the_page_are_in_the_database(here: Database, open_page: Any) -> None:
    app = open_page("data", part="alerts")
    category = recipients.scopes(here)["category"][0]
    app.get_by_key("recipient_0_0_address").set_value("toys@example.com")
    app.get_by_key("recipient_0_0_product_category").set_value(category)
    next(one for one in app.button if one.key == "recipient_0_0_save").click().run()
    assert "toys@example.com gets alerts from now on." in words(app)
    (row,) = recipients.listed(here)
    assert (row["address"], row["product_category"], row["created_by"]) == ("toys@example.com", category, "local")
    app.get_by_key("threshold_0_1_level").set_value("category").run()
    app.get_by_key("threshold_0_1_category_product_category").set_value(category)
    app.get_by_key("threshold_0_1_high_loss_value").set_value(1e9)
    app.get_by_key("threshold_0_1_preview").click().run(timeout=120)
    assert not app.exception
    assert not app.error
    assert "In the last 90 days" in words(app)
    app.get_by_key("threshold_0_1_reason").set_value("Too many mails.")
    next(one for one in app.button if one.key == "threshold_0_1_save").click().run()
    kept = thresholds.listed(here).iloc[0]
    assert (kept["name"], kept["product_category"], kept["value"], kept["set_by"]) == (
        "high_loss", category, 1e9, "local"
    )  # fmt: skip
    with here.read() as connection:
        actions = connection.exec_driver_sql("SELECT action FROM audit ORDER BY id").scalars().all()
    assert actions[-2:] == ["recipient added", "threshold set"]


def test_an_address_that_is_none_is_refused_on_the_page(here: Database, open_page: Any) -> None:
    app = open_page("data", part="alerts")
    app.get_by_key("self_test_address").set_value("me@example.com")
    app.get_by_key("self_test_send").click().run()
    assert "No mail is sent: SMTP_SERVER and ALERT_FROM_EMAIL are not set." in words(app)
    new = next(one.key for one in app.button if one.key.startswith("recipient_0") and one.key.endswith("_save"))
    app.get_by_key(new.replace("_save", "_address")).set_value("nobody")
    next(one for one in app.button if one.key == new).click().run()
    assert "'nobody' is no mail address" in words(app)
