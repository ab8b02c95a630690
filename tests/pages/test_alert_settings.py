"""The part "Alerts" of the Data page: whether alerts arrive, who gets them, from when on, and what was sent."""

from __future__ import annotations

import datetime as dt
import json
from zoneinfo import ZoneInfo

import pytest

from tests.pages.alerting import HOSTILE
from trendcast import wording
from trendcast.services.people import Person
from trendcast.ui import alert_rules, alerts, reads, who

CHECKED = ("header", "subheader", "markdown", "caption", "warning", "error", "success")


def words(app) -> str:
    said = "\n".join(str(element.value) for kind in CHECKED for element in app.get(kind))
    for mark in ("\\", "\u2060", "\u2068", "\u2069"):
        said = said.replace(mark, "")
    return said


def button(app, key: str):
    return next(one for one in app.button if one.key == key)


def keys(app) -> set[str]:
    return {one.key for one in app.button}


def table(app, column: str):
    return next((frame.value for frame in app.dataframe if column in frame.value), None)


@pytest.fixture
def page(retailer, open_page):
    """The part as an administrator's browser shows it."""

    def show(**parameters: str):
        app = open_page("data", part="alerts", **parameters)
        assert not app.exception
        return app

    return show


def as_role(monkeypatch, role: str) -> None:
    monkeypatch.setattr(who, "actor", lambda: Person("somebody", role))


# --- how they leave ---------------------------------------------------------------------------------------------------


def test_whether_alerts_arrive_stands_on_top(retailer, page):
    app = page()
    assert "Mail works: the last message was accepted on 28 Sep 2026, 07:55 UTC." in words(app)
    assert "3 of 15\u202falerts of the last 24 hours are used." in words(app)
    ways = table(app, "Way")
    assert ways["How it does"].tolist() == ["Works.", "No webhook is called: ALERT_WEBHOOK_URL is not set."]
    assert ways["Where it leads"].iloc[0] == "mail.example.com:587 (STARTTLS), from tc@example.com"


def test_what_mail_lacks_is_named_and_what_it_keeps_counted(retailer, page):
    retailer.alerts.missing = "No mail is sent: SMTP_SERVER and ALERT_FROM_EMAIL are not set."
    retailer.alerts.rows = [retailer.alerts._mail(1, "kept", "PENDING", why=retailer.alerts.missing)]
    retailer.alerts.rows[0]["state"] = "waiting"  # counted among those that wait
    said = words(page())
    assert (
        "No mail is sent: SMTP_SERVER and ALERT_FROM_EMAIL are not set. 1\u202fmessage is kept here to be read." in said
    )


def test_a_failing_server_says_since_when_and_why(retailer, page):
    retailer.alerts.failing = "Connection refused (connect)"
    app = page()
    assert (
        "Mail has not gone out since 28 Sep 2026, 07:00 UTC: Connection refused (connect). 2\u202fmessages wait."
        in words(app)
    )
    assert "It is tried again by itself." in table(app, "Way")["How it does"].iloc[0]


GONE = {
    "recipient": "gone@example.com", "since": dt.datetime(2026, 9, 25, 6, tzinfo=dt.UTC), "messages": 3, "code": 550,
    "error": "550 no such user", "in_settings": False,
}  # fmt: skip


def test_an_address_the_server_refuses_is_named_with_what_to_do(retailer, page):
    retailer.alerts.refused = [GONE]
    app = page()
    said = (
        "the server has refused gone@example.com since 25 Sep 2026, 06:00 UTC (550 no such user): 3\u202fmessages did "
        "not arrive. Correct the address or take it out under “Who gets alerts”."
    )
    assert f"Mail works, but {said}" in words(app)
    assert [one.value for one in app.warning if "refused" in one.value]  # where the addresses are kept, too
    assert table(app, "Way")["How it does"].iloc[0] == "Works, but not for 1\u202faddress."


def test_several_refused_addresses_are_counted_above_and_named_below(retailer, page):
    retailer.alerts.refused = [GONE, {**GONE, "recipient": "left@example.com", "in_settings": True}]
    app = page()
    assert "the server refuses 2\u202faddresses, the first since 25 Sep 2026, 06:00 UTC" in words(app)
    assert len(app.warning) == 2
    assert "take it out in ALERT_RECIPIENTS" in words(app)


def test_a_wrong_setting_is_told_from_a_server_that_is_away():
    row = {"missing": "", "failing_since": dt.datetime(2026, 9, 28, tzinfo=dt.UTC), "last_error": "535 bad login",
           "setup": True, "refused": []}  # fmt: skip
    assert alerts.standing(row).endswith("535 bad login. A setting is wrong: time alone does not help.")


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (("sent", 250, "250 OK queued"), "success", "The server answered 250 OK queued: the test mail is on its way"),
        (("never", 550, "550 no such user"), "error", "The server answered 550 no such user: the test mail was not"),
        (("setup", None, "The certificate of x cannot be trusted."), "error", "was not sent: The certificate of x"),
        (("later", None, ""), "error", "was not sent: the server gave no answer."),
    ],
)
def test_a_test_mail_shows_what_the_server_answered(retailer, page, answer, kind, said):
    retailer.alerts.answer = dict(zip(("outcome", "code", "answer"), answer, strict=True))
    app = page()
    app.get_by_key("self_test_address").set_value("me@example.com")
    app.get_by_key("self_test_send").click().run()
    assert retailer.alerts.asked == [("self_test", {"address": "me@example.com", "who": "local"})]
    assert len(app.get(kind)) == 1
    assert said in words(app)


def test_a_test_mail_without_a_server_names_the_setting(retailer, page):
    retailer.alerts.missing = "No mail is sent: SMTP_SERVER is not set."
    app = page()
    app.get_by_key("self_test_address").set_value("me@example.com")
    app.get_by_key("self_test_send").click().run()
    assert app.error[0].value.replace("\\", "").replace("\u2060", "") == "No mail is sent: SMTP_SERVER is not set."


def test_the_budget_says_what_is_left_and_what_went_to_the_digest(retailer, page):
    app = page()
    bar = app.get("progress")[0].proto
    assert (bar.value, bar.text) == (20, "3 of 15 incidents mailed at once in the last 24 hours, 12 left")
    assert "4\u202fopen incidents of medium or low impact for the next digest" in words(app)
    assert table(app, "What was made of it")["What was made of it"].tolist() == ["Left to the digest", "Mailed at once"]


def test_the_weekly_card_counts_what_alerts_were_worth(retailer, page):
    tiles = {metric.label: (metric.value, metric.delta) for metric in page().metric}
    assert tiles == {
        "Right alerts": ("88\u202f%", "of 16 judged"),
        "False alarms": ("2", "in eight weeks"),
        "Not acknowledged": ("3", "the oldest for 1\u202fday"),
        "Mails this week": ("8", "7 last week"),
    }


# --- messages ---------------------------------------------------------------------------------------------------------


def mail_states(app) -> list[str]:
    return table(app, "Subject")["State"].tolist()


def test_every_message_is_listed_with_its_state_and_what_became_of_it(retailer, page):
    app = page()
    assert mail_states(app) == ["Sent", "Could not be sent", "Sent, no answer", "Held back", "Waiting", "Sent"]
    assert table(app, "Subject")["Answer"].iloc[:2].tolist() == ["250 OK queued", "550 no such user"]
    app.get_by_key("mail_states").set_value(["dead", "held"]).run()
    assert mail_states(app) == ["Could not be sent", "Held back"]
    app.get_by_key("mail_states").set_value(["kept"]).run()
    assert "No message fits." in words(app)


def test_all_columns_of_the_messages_fit_a_screen_and_the_first_two_a_telephone(retailer, page):
    widths = [alerts.WIDTHS[name] for name in table(page(), "Subject")]
    assert sum(widths) <= 980  # what a screen of 1,440 pixels leaves beside the filters
    assert sum(widths[:2]) <= 358  # of 390


def opened(app, row: int):
    app.session_state["mail_list"] = {"selection": {"rows": [], "columns": [], "cells": [[row, "Subject"]]}}
    return app.run()


def test_a_click_opens_the_message_as_text(retailer, page):
    retailer.alerts.rows[0] |= {"subject": HOSTILE, "body_text": f"{HOSTILE}\n", "body_html": f"<p>{HOSTILE}</p>"}
    app = opened(page(), 0)
    assert not app.exception
    assert [one.value for one in app.text] == [HOSTILE]
    assert [one.value for one in app.code] == [f"<p>{HOSTILE}</p>"]
    assert not app.get("html")
    for element in (*app.markdown, *app.caption):
        assert "](http" not in element.value.replace("\\]\\(", "")
        assert not element.allow_html
    assert "mail_again" not in keys(app)


def test_a_dead_letter_can_be_sent_again(retailer, page):
    app = opened(page(), 1)
    assert "The server answered 550 no such user." in words(app)
    app.get_by_key("mail_again").click().run()
    assert retailer.alerts.asked == [("send_again", {"number": 5, "who": "local"})]
    assert "The message to gone@example.com is sent again." in words(app)
    assert mail_states(app)[1] == "Waiting"


def test_before_the_first_message_the_list_says_so(retailer, page):
    retailer.alerts.rows = []
    assert "No message has been written yet" in words(page())


# --- recipients -------------------------------------------------------------------------------------------------------


def test_a_recipient_is_added_changed_and_removed(retailer, page):
    app = page()
    assert "read only here): all@example.com." in words(app)
    app.get_by_key("recipient_0_0_address").set_value(" toys@example.com ")
    app.get_by_key("recipient_0_0_product_category").set_value("Clothing")
    app.get_by_key("recipient_0_0_impact_level").set_value("MEDIUM")
    button(app, "recipient_0_0_save").click().run()
    assert "toys@example.com gets alerts from now on." in words(app)
    row = table(app, "Address").iloc[0]
    assert (row["Address"].strip(), row["Category"], row["Region"], row["Impact"], row["Digests"]) == (
        "toys@example.com", "Clothing", "All", "Medium and high", "Yes"
    )  # fmt: skip
    app.get_by_key("recipient_entry_1").set_value(1).run()
    assert app.get_by_key("recipient_1_1_address").disabled
    app.get_by_key("recipient_1_1_digest").uncheck()
    button(app, "recipient_1_1_save").click().run()
    assert table(app, "Address")["Digests"].tolist() == ["No"]
    app.get_by_key("recipient_entry_2").set_value(1).run()
    button(app, "recipient_1_2_remove").click().run()
    assert table(app, "Address") is None
    assert [name for name, _ in retailer.alerts.asked] == ["add_recipient", "change_recipient", "remove_recipient"]
    assert {facts["who"] for _, facts in retailer.alerts.asked} == {"local"}


def test_a_refused_recipient_is_a_sentence_and_the_form_stays(retailer, page):
    app = page()
    app.get_by_key("recipient_0_0_address").set_value("nobody")
    button(app, "recipient_0_0_save").click().run()
    assert "'nobody' is no mail address: it should look like name@example.com." in words(app)
    assert app.get_by_key("recipient_0_0_address").value == "nobody"
    app.run()
    assert not app.error


def order(app) -> list[str]:
    """What stands on the page, from top to bottom, by kind and words."""
    return [f"{block.type}: {getattr(block, 'value', getattr(block, 'label', ''))}" for block in app.main]


@pytest.mark.parametrize("good", [True, False])
def test_what_a_form_did_is_said_below_that_form(retailer, page, good):
    app = page()
    app.get_by_key("recipient_0_0_address").set_value("a@example.com" if good else "nobody")
    button(app, "recipient_0_0_save").click().run()
    said = order(app)
    place = next(n for n, line in enumerate(said) if line.startswith("success:" if good else "error:"))
    assert said.index("subheader: Who gets alerts") < place < said.index("subheader: From when on")


def test_where_nobody_is_told_it_says_so(retailer, page):
    retailer.alerts.environment = ()
    assert "Nobody is told of anything yet" in words(page())


# --- thresholds -------------------------------------------------------------------------------------------------------


def tried(app, value: float = 5000.0, key: str = "threshold_0_0"):
    app.get_by_key(f"{key}_high_loss_value").set_value(value)
    button(app, f"{key}_preview").click().run()
    return app


def test_a_threshold_is_tried_on_the_past_before_it_can_be_saved(retailer, page):
    app = page()
    assert "threshold_0_0_save" not in keys(app)
    app = tried(app)
    name, what = retailer.alerts.asked[-1]
    assert name == "preview"
    assert what == {
        "name": "high_loss", "level": "", "product_category": "", "region": "", "store": "", "value": 5000.0
    }  # fmt: skip
    assert "14 incidents instead of 61 and sent 3 mails instead of 9, and would have missed 1" in words(app)
    figures = {metric.label: (metric.value, metric.delta) for metric in app.metric}
    assert figures["Incidents"] == ("14", "instead of 61")
    assert figures["Confirmed ones missed"][0] == "1"
    assert "No incident instead of high: HE fell." in words(app).replace("*", "")
    app.get_by_key("threshold_0_0_reason").set_value("Too many mails.")
    button(app, "threshold_0_0_save").click().run()
    assert retailer.alerts.asked[-1] == ("put_threshold", {**what, "reason": "Too many mails.", "who": "local"})
    assert table(app, "Set by")[["For", "Value"]].to_numpy().tolist() == [["Everything", "5,000"]]
    columns = json.loads(next(frame for frame in app.dataframe if "Set by" in frame.value).proto.columns)
    assert sum(columns[name]["width"] for name in ("Figure", "For", "Value")) <= 350  # what a telephone shows
    assert "It holds from the next data on." in words(app)


def test_another_figure_than_the_one_tried_cannot_be_saved(retailer, page):
    app = tried(page())
    app.get_by_key("threshold_0_0_high_loss_value").set_value(9000.0).run()
    assert "threshold_0_0_save" not in keys(app)
    assert "try it again before saving" in words(app)


def test_a_threshold_without_a_reason_is_refused_in_a_sentence(retailer, page):
    app = tried(page())
    button(app, "threshold_0_0_save").click().run()
    assert "Say in a few words why" in words(app)
    assert "threshold_0_0_save" in keys(app)  # what was tried is not lost


@pytest.mark.parametrize(
    ("level", "dimensions"),
    [("category", {"product_category": "Clothing"}),
     ("category_region", {"product_category": "Clothing", "region": "HE"}),
     ("store", {"store": "S0001"}), ("total", {})],
)  # fmt: skip
def test_a_threshold_can_be_of_each_level(retailer, page, level, dimensions):
    app = page()
    app.get_by_key("threshold_0_0_level").set_value(level).run()
    for name, value in dimensions.items():
        app.get_by_key(f"threshold_0_0_{level}_{name}").set_value(value)
    tried(app)
    what = retailer.alerts.asked[-1][1]
    assert {name: what[name] for name in ("product_category", "region", "store") if what[name]} == dimensions
    assert what["level"] == level


def test_a_share_is_asked_for_in_per_cent(retailer, page):
    app = page()
    app.get_by_key("threshold_0_0_name").set_value("least_change").run()
    app.get_by_key("threshold_0_0_least_change_value").set_value(25.0)
    button(app, "threshold_0_0_preview").click().run()
    assert retailer.alerts.asked[-1][1]["value"] == 0.25


def test_one_that_is_set_can_be_changed_or_removed_after_a_trial(retailer, page):
    retailer.alerts.put_threshold(
        name="high_loss", level="category", product_category="Clothing", region="", store="", value=100.0, reason="x",
        who="ben",
    )  # fmt: skip
    app = page()
    app.get_by_key("threshold_entry_0").set_value(1).run()
    assert app.get_by_key("threshold_1_0_high_loss_value").value == 100.0
    assert "threshold_1_0_remove" not in keys(app)
    button(app, "threshold_1_0_without").click().run()
    assert retailer.alerts.asked[-1][1]["value"] is None
    assert "threshold_1_0_save" not in keys(app)
    button(app, "threshold_1_0_remove").click().run()
    assert retailer.alerts.asked[-1] == ("remove_threshold", {"number": 1, "who": "local"})
    assert "Nothing is set: the rules' own figures hold." in words(app)


def test_no_figure_is_no_trial(retailer, page):
    app = page()
    button(app, "threshold_0_0_preview").click().run()
    assert "Write a figure first." in words(app)
    assert retailer.alerts.asked == []


# --- silence ----------------------------------------------------------------------------------------------------------


def test_something_is_silent_until_a_day_and_can_be_ended(retailer, page):
    app = page()
    app.get_by_key("silence_0_region").set_value("HE")
    app.get_by_key("silence_0_kind").set_value("DATA_QUALITY")
    app.get_by_key("silence_0_reason").set_value("The tills are replaced.")
    button(app, "silence_0_save").click().run()
    name, what = retailer.alerts.asked[-1]
    assert (name, what["matcher"]) == ("suppress", {"kind": "DATA_QUALITY", "product_category": "", "region": "HE"})
    assert what["until"] == dt.datetime.now(wording.zone()).date() + dt.timedelta(days=7)
    assert "Data quality, HE until" in words(app).replace("*", "")
    button(app, "silent_1_end").click().run()
    assert "Nothing is suppressed" in words(app)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])  # at every hour one of them has another day
def test_the_earliest_end_of_a_silence_is_the_retailers_tomorrow(retailer, page, monkeypatch, zone):
    monkeypatch.setattr(wording, "zone", lambda: ZoneInfo(zone))
    field = page().get_by_key("silence_0_until")
    today = dt.datetime.now(ZoneInfo(zone)).date()
    assert (field.min, field.value) == (today + dt.timedelta(days=1), today + dt.timedelta(days=7))


def test_a_suppression_is_one_sentence():
    row = {"matcher": {"region": "West"}, "until": dt.datetime(2026, 10, 1, tzinfo=dt.UTC), "reason": "Tills.",
           "who": "ann", "mails": 2}  # fmt: skip
    said = (
        alert_rules.silent_words(row)
        .replace("\\", "")
        .replace("\u2060", "")
        .replace("\u2068", "")
        .replace("\u2069", "")
    )
    assert said == "**West** until 1 Oct 2026, 00:00 UTC: Tills. (ann; 2\u202fmessages held back so far)"


# --- roles and states -------------------------------------------------------------------------------------------------


def test_a_viewer_sees_it_all_and_can_change_nothing(retailer, page, monkeypatch):
    retailer.alerts.silent = [
        {"id": 1, "matcher": {"region": "HE"}, "until": dt.datetime(2026, 10, 1, tzinfo=dt.UTC), "reason": "x",
         "who": "ann", "mails": 0}
    ]  # fmt: skip
    as_role(monkeypatch, "viewer")
    app = opened(page(), 1)
    assert "changed by an administrator" in words(app)
    assert len(app.metric) == 4
    assert table(app, "Subject") is not None
    assert all(one.disabled for one in app.button)
    assert not any(key.startswith(("recipient_", "threshold_", "silence_")) for key in keys(app))


def test_a_planner_sends_again_and_silences_but_sets_no_rules(retailer, page, monkeypatch):
    as_role(monkeypatch, "planner")
    app = opened(page(), 1)
    assert not app.get_by_key("mail_again").disabled
    assert "silence_0_save" in keys(app)
    assert not any(key.startswith(("recipient_", "threshold_")) for key in keys(app))
    assert app.get_by_key("self_test_send").disabled


def test_the_services_behind_the_page_ask_for_the_role_again(retailer, monkeypatch):
    from trendcast.errors import NotAllowed
    from trendcast.ui import alert_reads

    as_role(monkeypatch, "planner")
    for change in (
        lambda: alert_reads.self_test("me@example.com"),
        lambda: alert_reads.add_recipient(address="me@example.com"),
        lambda: alert_reads.change_recipient(1, digest=False),
        lambda: alert_reads.remove_recipient(1),
        lambda: alert_reads.put_threshold(name="high_loss", value=1.0, reason="x"),
        lambda: alert_reads.remove_threshold(1),
        lambda: alert_reads.preview(lambda *_: None, name="high_loss", value=1.0),
    ):
        with pytest.raises(NotAllowed, match="needs the role admin"):
            change()
    as_role(monkeypatch, "viewer")
    for change in (
        lambda: alert_reads.send_again(5),
        lambda: alert_reads.suppress(matcher={}, until=None, reason="x"),
        lambda: alert_reads.end_suppression(1),
    ):
        with pytest.raises(NotAllowed, match="needs the role planner"):
            change()
    assert retailer.alerts.asked == []


def test_while_the_database_is_away_the_last_answers_stay(retailer, page):
    app = page()
    retailer.away = retailer.alerts.away = True
    reads.standing(fresh=True)
    reads.forget_recent("alerts")
    app.run()
    assert not app.exception
    assert "Mail works" in words(app)
    assert all(one.disabled for one in app.button)


def test_without_a_run_alerts_can_be_set_up(retailer, page):
    retailer.empty = True
    app = page()
    assert "Who gets alerts" in [one.value for one in app.subheader]
    assert app.get_by_key("threshold_0_0_level").options == ["Everything", "Category", "Region"]


def test_every_table_and_chart_of_the_part_says_what_it_is(retailer, page):
    retailer.alerts.add_recipient(
        address="a@example.com", product_category="", region="", impact_level="LOW", digest=True, who="x"
    )
    app = tried(page())
    assert all(frame.proto.alt for frame in app.dataframe)
