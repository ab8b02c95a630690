"""The anomaly inbox as whoever settles an alert meets it, with a made-up retailer behind it."""

import datetime as dt
import json
import re
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from trendcast import wording
from trendcast.ui import charts_inbox, inbox, incident, reads, text

LOGGED = r"- \*\*.+\*\*( by .+)?, \d+ \w+ \d{4}, \d\d:\d\d"
HOSTILE = "<img src=x onerror=alert(1)> [link](http://evil.example) $x$ :red[danger]"


def words(app) -> str:
    kinds = ("header", "subheader", "markdown", "caption", "warning", "error")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind)).replace("\\", "")


def spaced(cell: str) -> str:
    """A cell with plain spaces."""
    return cell.replace("\u202f", " ")


def levels(app) -> list[str]:
    return [spaced(cell).partition(", ")[0] for cell in app.dataframe[0].value["Severity"]]


def labels(app) -> dict[str, object]:
    return {button.key: button for button in app.button}


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_finding_stands_above_the_counts_and_the_list(retailer, open_page):
    app = open_page("anomaly-inbox")
    assert not app.exception
    assert not app.error
    assert "HE:\u2060 412 sold, 1120 expected" in words(app)
    assert labels(app)["tile_open"].label == "Open **3**"
    assert labels(app)["tile_high"].label == "High impact **2**"
    frame = app.dataframe[0].value
    assert [spaced(one) for one in frame["Severity"]] == [
        "◆ High, 21.0 k, 1 day", "◆ High, 9,100, 2 days", "◈ Medium, 900 units, 3 days"
    ]  # fmt: skip
    assert frame["State"].tolist() == ["New", "Acknowledged", "New"]
    assert words(app).count("Last checked 28 Sep 2026, 06:15 UTC") == 1


def test_each_severity_has_a_sign_besides_its_colour():
    assert len({label.split()[0] for label in inbox.IMPACTS.values()}) == len(inbox.IMPACTS)


@pytest.mark.parametrize(
    ("tile", "rows", "url"),
    [
        ("high", 2, {"impact": "HIGH"}),
        ("new", 2, {"state": "new"}),
        ("data_quality", 1, {"kind": "DATA_QUALITY"}),
        ("resolved_7d", 1, {"state": "resolved", "since": "2026-09-21"}),
        ("open", 3, {}),
    ],
)
def test_a_tile_shows_its_incidents_with_one_click(retailer, open_page, tile, rows, url):
    app = open_page("anomaly-inbox")
    app.get_by_key(f"tile_{tile}").click().run()
    assert not app.exception
    assert len(app.dataframe[0].value) == rows
    asked = {name: app.query_params[name] for name in inbox.NAMES if name in app.query_params}
    assert {name: value[0] if isinstance(value, list) else value for name, value in asked.items()} == url


def test_a_pasted_url_restores_the_filters(retailer, open_page):
    app = open_page("anomaly-inbox", state="all", impact=["HIGH", "LOW"], kind="DEMAND", since="2026-09-20")
    assert app.session_state["inbox_impact"] == ["HIGH", "LOW"]
    assert app.session_state["inbox_since"] == dt.date(2026, 9, 20)
    assert levels(app) == ["◆ High", "◇ Low"]


@pytest.mark.parametrize("given", [{"state": "x"}, {"impact": "x"}, {"since": "soon"}, {"incident": "x"}, {"kind": ""}])
def test_nonsense_in_the_url_is_left_out(retailer, open_page, given):
    app = open_page("anomaly-inbox", **given)
    assert not app.exception
    assert not app.error
    assert len(app.dataframe[0].value) == 3


def test_what_a_filter_says_is_what_its_url_says():
    wanted = inbox.Asked("resolved", ("HIGH", "LOW"), ("SUPPLY",), dt.date(2026, 9, 1))
    assert inbox.parse(inbox.to_params(wanted)) == wanted
    assert inbox.to_params(inbox.Asked()) == {}


def test_the_shared_filters_narrow_the_list(retailer, open_page):
    app = open_page("anomaly-inbox", level="category", category="Clothing")
    assert app.dataframe[0].value["Where"].tolist() == ["Clothing (category)"]


def test_a_click_on_a_line_opens_it(retailer, open_page):
    app = open_page("anomaly-inbox")
    app.session_state["inbox_rows_0"] = {"selection": {"rows": [], "columns": [], "cells": [[1, "Where"]]}}
    app.run()
    assert app.query_params["incident"] in ("2", ["2"])
    assert "Clothing:\u2060 0 sold" in words(app)


def test_ticked_lines_move_together(retailer, open_page):
    app = open_page("anomaly-inbox")
    app.session_state["inbox_rows_0"] = {"selection": {"rows": [0, 2], "columns": [], "cells": []}}
    app.run()
    app.get_by_key("bulk_acknowledge").click().run()
    assert [(number, action) for number, action, _ in retailer.moved] == [(1, "acknowledge"), (3, "acknowledge")]
    assert "2\u202fincidents were acknowledged." in words(app)
    assert app.dataframe[0].value["State"].tolist() == ["Acknowledged"] * 3
    app.get_by_key("inbox_undo").click().run()
    assert [action for _, action, _ in retailer.moved[2:]] == ["undo", "undo"]
    assert app.dataframe[0].value["State"].tolist() == ["New", "Acknowledged", "New"]


def tick(app, *rows: int):
    app.session_state["inbox_rows_0"] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    return app.run()


def test_several_are_resolved_with_one_note(retailer, open_page):
    app = open_fields(tick(open_page("anomaly-inbox"), 0, 1), "resolve", "bulk")
    assert labels(app)["bulk_resolve_do"].label == "Resolve all 2"
    app.get_by_key("bulk_note").set_value("One power cut.")
    app.get_by_key("bulk_resolve_do").click().run()
    how = {"who": "local", "version": 1, "note": "One power cut."}
    assert retailer.moved == [(1, "resolve", how), (2, "resolve", how)]
    assert len(app.dataframe[0].value) == 1
    assert "bulk_resolve_do" not in labels(app)
    app.get_by_key("inbox_undo").click().run()
    assert len(app.dataframe[0].value) == 3


def test_what_was_so_before_is_not_taken_back_with_the_rest(retailer, open_page):
    app = open_page("anomaly-inbox")
    states = [retailer._incident(number)["status"] for number in (1, 2)]
    assert states == ["NEW", "ACKNOWLEDGED"]
    app = tick(app, 0, 1)
    app.get_by_key("bulk_acknowledge").click().run()
    assert "1\u202fincident was acknowledged. 1\u202fincident was so already." in words(app)
    app.get_by_key("inbox_undo").click().run()
    assert [(number, action) for number, action, _ in retailer.moved][2:] == [(1, "undo")]


def test_several_are_a_false_alarm_with_one_click(retailer, open_page):
    app = tick(open_page("anomaly-inbox"), 0, 2)
    app.get_by_key("bulk_false_alarm").click().run()
    assert [(number, action) for number, action, _ in retailer.moved] == [(1, "false_alarm"), (3, "false_alarm")]
    assert "2\u202fincidents were closed as a false alarm." in words(app)
    assert "inbox_undo" in labels(app)


def test_several_are_snoozed_to_one_day(retailer, open_page):
    app = open_fields(tick(open_page("anomaly-inbox"), 0, 1), "snooze", "bulk")
    day = dt.datetime.now(wording.zone()).date() + dt.timedelta(days=2)
    app.get_by_key("bulk_until").set_value(day)
    app.get_by_key("bulk_snooze_do").click().run()
    assert [(number, action, how["until"]) for number, action, how in retailer.moved] == [
        (1, "snooze", day), (2, "snooze", day)
    ]  # fmt: skip


def test_several_get_one_verdict_without_an_event(retailer, open_page):
    app = open_fields(tick(open_page("anomaly-inbox"), 0, 1), "verdict", "bulk")
    app.get_by_key("bulk_judged").set_value("expected").run()
    assert "bulk_event_name" not in {one.key for one in app.text_input}
    app.get_by_key("bulk_judged_note").set_value("Easter")
    app.get_by_key("bulk_verdict_do").click().run()
    assert [(action, how["note"], "event" in how) for _, action, how in retailer.moved] == [
        ("expected", "Easter", False)
    ] * 2


def test_the_list_tells_money_level_class_state_owner_and_age(retailer, open_page):
    frame = open_page("anomaly-inbox").dataframe[0].value
    row = frame.iloc[1]
    assert [spaced(cell) for cell in row[["Severity", "Kind", "State", "Owner", "Where"]]] == [
        "◆ High, 9,100, 2 days", "Supply, no sales", "Acknowledged", "anna", "Clothing (category)"
    ]  # fmt: skip


def test_a_telephone_shows_level_money_age_and_the_sentence(retailer, open_page):
    """390 pixels show some 320 of a table beside the ticks; a line has room for five lines of a sentence."""
    shown = open_page("anomaly-inbox").dataframe[0]
    columns = json.loads(shown.proto.columns)
    assert list(shown.value.columns[:2]) == ["Severity", "What happened"]
    assert columns["Severity"]["width"] + columns["What happened"]["width"] <= 320
    assert shown.proto.row_height >= 5 * 20


def test_what_is_suppressed_or_snoozed_is_counted_and_listed_with_its_end(retailer, open_page):
    app = open_page("anomaly-inbox")
    assert "Silent" not in words(app)
    assert labels(app)["tile_snoozed"].label == "Snoozed **0**"
    retailer.alerts.suppressed, retailer.alerts.snoozed = 4, 2
    retailer.alerts.silent = [
        {"id": 1, "matcher": {"region": "HE", "kind": "DATA_QUALITY"}, "reason": "The tills are replaced.",
         "who": "ann", "until": dt.datetime(2026, 10, 1, tzinfo=dt.UTC), "mails": 4}
    ]  # fmt: skip
    from trendcast.ui import reads

    reads.forget_inbox()
    app.run()
    assert labels(app)["tile_snoozed"].label == "Snoozed **2**"
    silent = next(one for one in app.expander if one.key == "inbox_silent")
    assert silent.label == "4\u202fmessages held back in the last 7 days, 2 snoozed"
    assert "until 1 Oct 2026, 00:00 UTC" in words(app)
    assert "The tills are replaced" in words(app)
    app.get_by_key("tile_snoozed").click().run()
    assert app.query_params["state"] in ("snoozed", ["snoozed"])


def test_a_snoozed_incident_leaves_the_open_list_until_its_day(retailer, open_page):
    today = dt.datetime.now(wording.zone()).date()
    later = today + dt.timedelta(days=3)
    retailer.incident_rows[0]["snoozed_until"] = later
    retailer.incident_rows[1]["snoozed_until"] = today  # it is back
    assert len(open_page("anomaly-inbox").dataframe[0].value) == 2
    asleep = open_page("anomaly-inbox", state="snoozed").dataframe[0].value
    assert asleep["State"].tolist() == [f"New, snoozed until {text.day_short(later)}"]


def test_two_hundred_incidents_are_one_list(retailer, open_page):
    first = retailer.incident_rows[0]
    retailer.incident_rows = [first | {"incident_id": n, "loss": 1e6 / n} for n in range(1, 201)]
    app = open_page("anomaly-inbox")
    assert not app.exception
    assert len(app.dataframe[0].value) == 200
    assert "1.00\u202fM" in app.dataframe[0].value["Severity"].iloc[0]


def test_without_prices_the_list_is_in_units(make_retailer, open_page):
    make_retailer(money=False)
    frame = open_page("anomaly-inbox").dataframe[0].value
    assert all(" units, " in value for value in frame["Severity"]), "a narrow cell breaks before the unit"


# --- nothing to show --------------------------------------------------------------------------------------------------


def test_a_calm_day_says_what_was_checked_and_when(retailer, open_page):
    retailer.incident_rows = []
    app = open_page("anomaly-inbox")
    assert not app.exception
    assert "Nothing unusual is open" in words(app)
    assert words(app).count("Last checked 28 Sep 2026, 06:15 UTC: 28\u202fseries over 56\u202fdays") == 1
    assert "Keys" not in words(app)


def test_what_could_not_be_judged_is_no_calm_day(retailer, open_page):
    retailer.incident_rows = []
    retailer.judged = {"judged": 0, "learning": 20, "held": 0, "missing": 8, "closed": 0}
    said = words(open_page("anomaly-inbox"))
    assert "Nothing unusual" not in said
    assert "Nothing could be judged" in said
    assert "20\u202fseries have too little history, 8\u202fseries sent nothing" in said


def test_filters_that_hide_everything_offer_the_way_out(retailer, open_page):
    app = open_page("anomaly-inbox", impact="LOW")
    assert "No incident fits these filters" in words(app)
    app.get_by_key("inbox_clear").click().run()
    assert len(app.dataframe[0].value) == 3


def test_a_detector_that_never_ran_says_so_and_starts_with_one_click(retailer, open_page):
    retailer.incident_rows, retailer.checked = [], None
    app = open_page("anomaly-inbox")
    assert "Nothing has been checked yet" in words(app)
    app.get_by_key("inbox_check").click().run()
    assert retailer.asked == [("detect", {})]
    assert not app.exception
    assert "inbox_check" not in labels(app)
    assert app.get("progress")
    retailer.slot_rows[0] |= {"state": "dead", "error": "The disk is full."}
    from trendcast.ui import reads

    reads.slots.clear()
    app.run()
    assert "The last check failed" in words(app)


def test_while_the_database_is_away_the_last_list_stays_and_moves_are_off(retailer, open_page):
    from trendcast.ui import reads

    app = open_page("anomaly-inbox", incident="1")
    retailer.away = True
    reads.standing(fresh=True)
    reads.forget_inbox()
    app.run()
    assert not app.exception
    assert "The database does not answer" in app.error[0].value
    assert "HE:\u2060 412 sold" in words(app)
    assert app.get_by_key("incident_acknowledge").disabled


# --- one incident -----------------------------------------------------------------------------------------------------


def test_a_link_opens_the_incident_with_everything_about_it(retailer, open_page):
    app = open_page("anomaly-inbox", incident="1")
    assert not app.exception
    said = words(app)
    for part in ("412 sold, 1120 expected", "Call the shops", "63 % below", "21.0\u202fk", "add up to −1,416 units"):
        assert part in said
    assert [element.value for element in app.subheader] == [
        "What it is made of",
        "The rule, with its figures",
        "The like of it before",
        "Log",
        "Who was told",
    ]
    charts = app.get("plotly_chart")
    assert len(charts) == 2
    assert all(len(chart.proto.alt) > 40 for chart in charts)
    assert "HE:\u2060 380 sold, 1,090 expected." in said  # the like of it, whole, with how it ended and why
    before = next(one.proto for one in app.get("page_link") if "Resolved" in one.proto.label)
    assert "confirmed" in before.label
    assert "incident=4" in before.query_string
    assert "A storm." in said
    assert logged(app) == ["Opened by the check"]


def test_an_incident_of_one_series_shows_the_rule_alone(retailer, open_page):
    app = open_page("anomaly-inbox", incident="2")
    assert not app.exception
    assert app.subheader[0].value == "The rule, with its figures"
    assert len(app.get("plotly_chart")) == 1


def test_an_incident_nobody_has_is_said_with_the_way_back(retailer, open_page):
    app = open_page("anomaly-inbox", incident="99")
    assert not app.exception
    assert "There is no incident 99" in words(app)
    assert "Keys" not in words(app)
    assert [button.label for button in app.main.button] == ["Inbox"]
    app.get_by_key("incident_back").click().run()
    assert "incident" not in app.query_params
    assert len(app.dataframe[0].value) == 3


def test_previous_and_next_go_through_the_list(retailer, open_page):
    app = open_page("anomaly-inbox")
    app.get_by_key("inbox_start").click().run()
    assert app.get_by_key("incident_previous").disabled
    app.get_by_key("incident_next").click().run()
    app.get_by_key("incident_next").click().run()
    assert "HB,NI" in words(app)
    assert app.get_by_key("incident_next").disabled
    assert "3 of 3" in words(app)


def test_what_is_settled_says_how_it_ended_and_asks_for_nothing(retailer, open_page):
    retailer._incident(1)["status"] = "RESOLVED"
    retailer._incident(1)["note"] = "A power cut."
    shown = words(open_page("anomaly-inbox", incident="1"))
    assert "A power cut." in shown
    assert "Call the shops of the region." not in shown


def test_what_other_data_ended_says_whose_figures_these_are(retailer, open_page):
    retailer._incident(1)["status"], retailer._incident(1)["note"] = "RESOLVED", "the data arrived"
    said = words(open_page("anomaly-inbox", incident="1"))
    assert "The data arrived. What is told here is what the data said before." in said


def test_acknowledging_shows_the_new_state_at_once_and_can_be_undone(retailer, open_page):
    app = open_page("anomaly-inbox", incident="1")
    app.get_by_key("incident_acknowledge").click().run()
    assert retailer.moved == [(1, "acknowledge", {"who": "local", "version": 1, "note": ""})]
    assert "The incident was acknowledged." in words(app)
    assert "incident_acknowledge" not in labels(app)
    assert logged(app) == ["Opened by the check", "Acknowledged"]
    app.get_by_key("inbox_undo").click().run()
    assert retailer.moved[-1] == (1, "undo", {"who": "local", "version": 2, "note": ""})
    assert "incident_acknowledge" in labels(app)


def open_fields(app, move: str, key: str = "incident_1_1"):
    """One click: the fields of a move are there."""
    return app.get_by_key(f"{key}_{move}").click().run()


def test_resolving_carries_the_note(retailer, open_page):
    app = open_fields(open_page("anomaly-inbox", incident="1"), "resolve")
    app.get_by_key("incident_1_1_note").set_value("the tills were down ")
    app.get_by_key("incident_1_1_resolve_do").click().run()
    assert retailer.moved == [(1, "resolve", {"who": "local", "version": 1, "note": "the tills were down"})]
    assert "incident_1_2_resolve_do" not in labels(app)
    app.get_by_key("incident_reopen").click().run()
    assert retailer.moved[-1][1:] == ("reopen", {"who": "local", "version": 2, "note": ""})


def test_from_the_mails_link_to_resolved_in_at_most_three_clicks(retailer, open_page):
    clicks = 0
    app = open_page("anomaly-inbox", incident="1")  # what the link in the mail opens
    assert retailer.moved == [], "opening a link changes nothing"
    for key in ("incident_1_1_resolve", "incident_1_1_resolve_do"):
        if key.endswith("_do"):
            app.get_by_key("incident_1_1_note").set_value("A burst pipe; open again.")
        app.get_by_key(key).click().run()
        clicks += 1
    assert clicks <= 3
    assert retailer.incident_rows[0]["status"] == "RESOLVED"
    assert "The incident was resolved." in words(app)


def test_a_second_click_closes_the_fields_and_another_opens_others(retailer, open_page):
    app = open_fields(open_page("anomaly-inbox", incident="1"), "resolve")
    assert "incident_1_1_resolve_do" in labels(app)
    open_fields(app, "snooze")
    assert ("incident_1_1_resolve_do" in labels(app), "incident_1_1_snooze_do" in labels(app)) == (False, True)
    open_fields(app, "snooze")
    assert "incident_1_1_snooze_do" not in labels(app)


def test_snoozing_carries_the_day(retailer, open_page):
    app = open_fields(open_page("anomaly-inbox", incident="1"), "snooze")
    day = dt.datetime.now(wording.zone()).date() + dt.timedelta(days=3)
    app.get_by_key("incident_1_1_until").set_value(day)
    app.get_by_key("incident_1_1_snooze_do").click().run()
    assert retailer.moved == [(1, "snooze", {"who": "local", "version": 1, "note": "", "until": day})]
    assert f"until {text.day_short(day)}" in words(app)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])  # at every hour one of them has another day
def test_the_earliest_end_of_a_snooze_is_the_retailers_tomorrow(retailer, open_page, monkeypatch, zone):
    monkeypatch.setattr(wording, "zone", lambda: ZoneInfo(zone))
    field = open_fields(open_page("anomaly-inbox", incident="1"), "snooze").get_by_key("incident_1_1_until")
    today = dt.datetime.now(ZoneInfo(zone)).date()
    assert (field.min, field.value) == (today + dt.timedelta(days=1), today + dt.timedelta(days=7))


@pytest.mark.parametrize("verdict", ["confirmed", "expected", "new_normal", "false_alarm", "data_issue"])
def test_each_verdict_reaches_the_service_with_its_note(retailer, open_page, verdict):
    app = open_fields(open_page("anomaly-inbox", incident="1"), "verdict")
    radio = app.get_by_key("incident_1_1_judged")
    assert len(radio.options) == 5
    radio.set_value(verdict).run()
    if verdict == "expected":
        app.get_by_key("incident_1_1_event").uncheck()
    app.get_by_key("incident_1_1_judged_note").set_value("street festival")
    app.get_by_key("incident_1_1_verdict_do").click().run()
    assert retailer.moved == [(1, verdict, {"who": "local", "version": 1, "note": "street festival"})]
    assert not app.exception


def test_what_was_expected_becomes_an_event_of_the_calendar(retailer, open_page):
    app = open_fields(open_page("anomaly-inbox", incident="1"), "verdict")
    assert "incident_1_1_event_name" not in {one.key for one in app.text_input}
    app.get_by_key("incident_1_1_judged").set_value("expected").run()
    # Its own days and region are proposed.
    first, last = retailer.incident_rows[0]["first_day"], retailer.incident_rows[0]["day"]
    assert app.get_by_key("incident_1_1_event_first").value == first
    assert app.get_by_key("incident_1_1_event_region").value == "HE"
    app.get_by_key("incident_1_1_event_name").set_value("Street festival")
    app.get_by_key("incident_1_1_event_region").set_value("")
    app.get_by_key("incident_1_1_event_again").set_value(last + dt.timedelta(days=364))
    app.get_by_key("incident_1_1_verdict_do").click().run()
    event = {
        "name": "Street festival", "first_day": first, "last_day": last, "region": "",
        "again": last + dt.timedelta(days=364),
    }  # fmt: skip
    assert retailer.moved == [
        (1, "expected", {"who": "local", "version": 1, "note": "Street festival", "event": event})
    ]


def test_a_verdict_without_the_note_it_needs_is_refused_in_a_sentence(retailer, open_page):
    app = open_fields(open_page("anomaly-inbox", incident="1"), "verdict")
    app.get_by_key("incident_1_1_judged").set_value("expected").run()
    app.get_by_key("incident_1_1_verdict_do").click().run()
    assert "Write which event it was" in words(app)
    assert "incident_acknowledge" in labels(app)
    assert "incident_1_1_verdict_do" in labels(app)  # what was written stays
    assert app.get_by_key("incident_1_1_judged").value == "expected"


@pytest.mark.parametrize(("verdict", "asked"), [("data_issue", "what is wrong with the data"), ("confirmed", None)])
def test_a_note_that_is_needed_is_asked_for(retailer, open_page, verdict, asked):
    app = open_fields(open_page("anomaly-inbox", incident="1"), "verdict")
    app.get_by_key("incident_1_1_judged").set_value(verdict).run()
    assert app.get_by_key("incident_1_1_judged_note").label == (f"Note: {asked} (needed)" if asked else "Note")


def test_a_level_that_holds_is_offered_as_the_new_one(retailer, open_page, monkeypatch):
    known = retailer.incident
    monkeypatch.setattr(retailer, "incident", lambda n: known(n) | {"class": "LEVEL_SHIFT", "held": 5})
    app = open_page("anomaly-inbox", incident="1")
    assert "The level has held for 5\u202fdays or more." in words(app)
    app.get_by_key("incident_new_normal").click().run()
    assert retailer.moved == [(1, "new_normal", {"who": "local", "version": 1, "note": ""})]


def test_a_level_that_does_not_hold_is_no_new_normal(retailer, open_page, monkeypatch):
    """However many of its days stood out: the services know whether it holds."""
    known = retailer.incident
    facts = {"class": "LEVEL_SHIFT", "held": 0}
    monkeypatch.setattr(retailer, "incident", lambda n: known(n) | facts | {"days": known(n)["days"][:1] * 9})
    assert "incident_new_normal" not in labels(open_page("anomaly-inbox", incident="1"))


def test_a_single_bad_day_is_no_new_normal(retailer, open_page):
    assert "incident_new_normal" not in labels(open_page("anomaly-inbox", incident="1"))


def test_each_move_has_a_key_and_the_page_says_which(retailer, open_page):
    app = open_page("anomaly-inbox", incident="1")
    keys = {button.label: button.proto.shortcut for button in app.button if button.proto.shortcut}
    assert {name: key.lower() for name, key in keys.items()} == {
        "Inbox": "escape", "Previous": "k", "Next": "j", "Acknowledge": "a", "Resolve": "d", "Snooze": "s",
        "Verdict": "v",
    }  # fmt: skip
    assert "Keys: Esc inbox, J next, A acknowledge, D done (resolve), S snooze, V verdict." in words(app)
    app.get_by_key("incident_acknowledge").click().run()
    assert app.get_by_key("inbox_undo").proto.shortcut.lower() == "u"
    assert "Keys: Esc inbox, J next, D done (resolve), S snooze, V verdict, U undo." in words(app)


def test_esc_leaves_no_form_that_is_being_filled_in(retailer, open_page):
    app = open_fields(open_page("anomaly-inbox", incident="1"), "resolve")
    assert app.get_by_key("incident_back").proto.shortcut == ""
    assert "Keys: J next, A acknowledge" in words(app)
    app.get_by_key("incident_1_1_resolve").click().run()  # closes the fields
    assert app.get_by_key("incident_back").proto.shortcut.lower() == "escape"


def test_the_page_names_no_key_that_does_nothing(retailer, open_page):
    retailer._incident(1)["status"] = "RESOLVED"
    assert "Keys: Esc inbox, J next, O open again, V verdict." in words(open_page("anomaly-inbox", incident="1"))
    assert "Keys" not in words(open_page("anomaly-inbox"))
    assert "Keys: A acknowledge, F false alarm, D done" in words(tick(open_page("anomaly-inbox"), 0))


def test_what_a_move_did_is_said_where_one_looks_until_the_next(retailer, open_page):
    """Beside the buttons, among the fields that are still open, and at the page's edge; not above all of it."""
    app = open_fields(open_page("anomaly-inbox", incident="1"), "verdict")
    app.get_by_key("incident_1_1_judged").set_value("expected").run()
    app.get_by_key("incident_1_1_verdict_do").click().run()
    panel = next(one for one in app.get("vertical") + app.get("container") if one.key == "incident_1_1_panel")
    assert "Write which event it was" in panel.warning[0].value
    assert "Write which event it was" in app.toast[0].value
    app.run()
    assert not app.toast, "once"
    assert "Write which event it was" in words(app), "and beside the button until the next move"
    app.get_by_key("incident_1_1_event_name").set_value("Street festival")
    app.get_by_key("incident_1_1_verdict_do").click().run()
    assert "Write which event it was" not in words(app)
    assert app.toast[0].value == "The incident was closed as expected."


def test_who_may_only_look_sees_it_all_and_moves_nothing(retailer, open_page, monkeypatch):
    from trendcast.services.people import Person
    from trendcast.ui import who

    monkeypatch.setattr(who, "actor", lambda: Person("vera", "viewer"))
    app = open_page("anomaly-inbox", incident="1")
    assert not app.exception
    assert "63 % below" in words(app)
    assert "takes the role planner" in words(app)
    assert "Keys: Esc inbox, J next." in words(app)
    moves = ("incident_acknowledge", "incident_1_1_resolve", "incident_1_1_snooze", "incident_1_1_verdict")
    assert all(labels(app)[key].disabled for key in moves)
    assert not labels(app)["incident_next"].disabled


def test_somebody_faster_is_named_and_the_new_state_shown(retailer, open_page):
    app = open_page("anomaly-inbox", incident="1")
    retailer.faster = True
    app.get_by_key("incident_acknowledge").click().run()
    assert "Anna has resolved this incident meanwhile" in words(app)
    assert "look, then decide again" in words(app)
    assert "incident_reopen" in labels(app)


@pytest.mark.parametrize(("chosen", "told"), [({}, False), ({"category": "Clothing"}, True), ({"region": "HE"}, True)])
def test_that_the_counts_are_of_all_series_is_said_where_the_list_is_of_some(retailer, open_page, chosen, told):
    assert ("counts above are of all series" in words(open_page("anomaly-inbox", **chosen))) == told


def test_fields_of_an_incident_that_was_moved_meanwhile_say_so(retailer, open_page):
    """Another tab undid a move: the click that was to open the fields is not lost without a word."""
    app = open_page("anomaly-inbox", incident="1")
    retailer.incident_rows[0]["version"] += 1
    reads.forget_recent("inbox")
    open_fields(app, "snooze")
    assert "has changed meanwhile. Its newest state is shown" in words(app)
    open_fields(app, "snooze", key="incident_1_2")
    assert "incident_1_2_snooze_do" in labels(app)


def mailed(monkeypatch, retailer, **facts):
    """Incident 1 with one message in its delivery log."""
    when = dt.datetime(2026, 9, 28, 6, 16, tzinfo=dt.UTC)
    row = {
        "recipient": "ann@example.com", "reason": "first", "status": "SENT", "attempts": 1, "last_code": 250,
        "last_error": "250 OK", "created": when, "sent_at": when, "subject": "CRITICAL", "body_text": "412 sold",
        "channel": "email",
    } | facts  # fmt: skip
    known = retailer.incident
    monkeypatch.setattr(retailer, "incident", lambda n: known(n) | {"mails": pd.DataFrame([row])})


def plainly(app) -> str:
    """The page's words without the marks that keep names apart from markup."""
    said = words(app)
    for mark in (text.ISOLATE, text.RELEASE, text.JOINER):
        said = said.replace(mark, "")
    return said


def logged(app) -> list[str]:
    """What the log has, the oldest first."""
    return [line.partition("**")[2].partition("**")[0] for line in plainly(app).split("\n") if re.match(LOGGED, line)]


def test_of_a_long_log_the_rest_waits_to_be_opened(retailer, open_page):
    when = dt.datetime(2026, 9, 28, 7, tzinfo=dt.UTC)
    retailer._incident(1)["log"] = [(when, "anna", "snooze", "NEW", "NEW", f"For the {n}th time.") for n in range(20)]
    app = open_page("anomaly-inbox", incident="1")
    assert next(one for one in app.expander if one.key == "incident_log_more").label == "9 more"
    assert "- **Snoozed** by anna, 28 Sep 2026, 07:00 UTC: For the 19th time." in plainly(app)


def test_the_delivery_log_names_the_servers_answer(retailer, open_page, monkeypatch):
    mailed(monkeypatch, retailer)
    app = open_page("anomaly-inbox", incident="1")
    assert "- **Sent** to ann@example.com · Alert · 28 Sep 2026, 06:16 UTC · 1\u202fattempt · 250 OK" in plainly(app)
    assert "412 sold" in [one.value for one in app.text]


def test_a_mail_that_is_not_sent_is_kept_and_names_the_setting(retailer, open_page, monkeypatch):
    mailed(monkeypatch, retailer, status="PENDING", sent_at=None, last_code=None, last_error=None, attempts=0)
    retailer.alerts.missing = "No mail is sent: SMTP_SERVER is not set."
    app = open_page("anomaly-inbox", incident="1")
    assert "kept here to be read, but not sent. No mail is sent:\u2060 SMTP_SERVER is not set." in words(app)
    assert "- **Kept here** to ann@example.com · Alert · 28 Sep 2026, 06:16 UTC\n" in plainly(app) + "\n"
    assert "412 sold" in [one.value for one in app.text]


def test_the_plain_rule_stands_beside_ours(retailer, open_page):
    app = open_page("anomaly-inbox", incident="1")
    app.session_state["incident_plain"] = True
    app.run()
    assert not app.exception
    assert "the plain rule flags 3\u202fdays of this series, TrendCast 2\u202fdays, 1 of them in common" in words(app)
    assert "its score cannot pass 3.47, so" in words(app)
    assert len(app.get("plotly_chart")) == 3


def test_a_series_of_another_run_has_no_chart_but_the_rest(retailer, open_page):
    retailer.incident_rows[0]["region"] = "Atlantis"
    app = open_page("anomaly-inbox", incident="1")
    assert not app.exception
    assert "not part of the run on view" in words(app)


def test_hostile_names_are_inert_in_list_and_incident(retailer, open_page):
    for name in ("headline", "cause", "owner", "product_category"):
        retailer.incident_rows[0][name] = HOSTILE
    for app in (open_page("anomaly-inbox"), open_page("anomaly-inbox", incident="1")):
        assert not app.exception
        for kind in ("header", "markdown", "caption", "subheader", "warning"):
            for element in app.get(kind):
                assert HOSTILE not in element.value
                assert "<img" not in element.value.replace("\\<img", "")
        for chart in app.get("plotly_chart"):
            assert "<img" not in json.dumps(json.loads(chart.proto.spec))


def test_the_warm_inbox_asks_the_database_nothing(retailer, open_page):
    app = open_page("anomaly-inbox")
    app.run()
    before = retailer.reads
    app.run()
    assert retailer.reads == before


# --- the charts -------------------------------------------------------------------------------------------------------


def some_days(n: int = 56) -> pd.DataFrame:
    actual = 100 + 10 * np.sin(np.arange(n))
    return pd.DataFrame(
        {
            "date": pd.date_range("2026-08-03", periods=n),
            "actual": actual,
            "expected": 100.0,
            "low80": 85.0,
            "high80": 115.0,
            "low95": 70.0,
            "high95": 130.0,
        }
    )


def test_the_chart_holds_the_days_both_bands_and_the_window():
    days = some_days()
    marks = days.iloc[[-3, -2]].assign(impact=["HIGH", "LOW"])[["date", "actual", "impact"]]
    figure, alt = charts_inbox.incident_chart(
        days, marks, first=days["date"].iloc[-3], last=days["date"].iloc[-2], measure="Units per day", dark=False
    )
    by_name = {trace.name: trace for trace in figure.data if trace.name}
    assert list(by_name["Actual"].y) == days["actual"].tolist()
    assert list(by_name["Expected"].y) == days["expected"].tolist()
    assert list(by_name["Usual range 95\u202f%"].y) == days["high95"].tolist()
    assert [len(by_name[f"Unusual, {name} impact"].x) for name in ("high", "low")] == [1, 1]
    window = figure.layout.shapes[0]
    assert pd.Timestamp(window.x0) < days["date"].iloc[-3] < days["date"].iloc[-2] < pd.Timestamp(window.x1)
    assert "expected 100" in alt


def test_the_rules_own_figures_win_over_those_of_the_chart():
    days = some_days()
    own = pd.DataFrame([{"day": days["date"].iloc[-1], "actual": 1.0, "expected": 90.0, "low": 60.0, "high": np.nan}])
    last = incident.on_rule(days, own.assign(high=105.0)).iloc[-1]
    assert (last["expected"], last["low95"], last["high95"]) == (90.0, 60.0, 105.0)
    assert (last["low80"], last["high80"]) == (85.0, 105.0)  # never wider than the 95 % range


@pytest.mark.parametrize("first", [dt.date(2026, 9, 26), dt.date(2026, 6, 1)])
def test_eight_weeks_are_on_view_and_all_of_a_longer_incident(first):
    start, end = incident.window(first, dt.date(2026, 9, 26), dt.date(2026, 9, 27))
    assert end == dt.date(2026, 9, 27)
    assert (end - start).days + 1 >= 56
    assert start <= first - dt.timedelta(days=14)


def test_contributions_add_up_to_the_incident():
    keys = {"level": "category_region", "region": "North", "store": "", "actual": 1.0, "expected": 2.0, "direction": -1}
    rows = [keys | {"product_category": f"C{i}", "loss_units": 10.0 + i} for i in range(20)]
    node = keys | {"level": "region", "product_category": "", "loss_units": 600.0}
    parts = charts_inbox.contributions(pd.DataFrame([*rows, node]), ["region", "", "North", ""])
    assert parts["gap"].sum() == pytest.approx(-600)
    assert parts["share"].sum() == pytest.approx(1)
    assert len(parts) == charts_inbox.MOST_BARS + 1
    assert parts["gap"].iloc[0] == -29
    figure, alt = charts_inbox.contributions_chart(parts, measure="Units", dark=True)
    assert sorted(figure.data[0].x) == sorted(parts["gap"])
    assert "−600" in alt


def test_strips_below_the_days_show_what_else_was_on_them():
    days = some_days()
    strips = pd.DataFrame({"date": days["date"], "promotion": 0.0, "events": "", "closed": 0.0, "stockout": False})
    strips.loc[3:5, "promotion"] = 0.5
    strips.loc[10, "events"] = "Labour Day"
    figure, alt = charts_inbox.incident_chart(
        days, days.iloc[:0].assign(impact=[]), first=days["date"].iloc[-3], last=days["date"].iloc[-2],
        measure="Units", dark=True, strips=strips,
    )  # fmt: skip
    lanes = {trace.name: list(trace.x) for trace in figure.data if trace.yaxis == "y2"}
    assert [len(lanes[name]) for name in ("Promotion", "Event", "Stock-out")] == [3, 1, 0]
    assert list(figure.layout.yaxis2.ticktext) == ["Promotion", "Event", "Stock-out"]
    assert "Promotion: Thu 6 Aug, Fri 7 Aug, Sat 8 Aug; Event: Thu 13 Aug; Stock-out: none." in alt


def test_without_a_row_of_the_node_the_members_are_the_whole():
    keys = {"level": "store", "product_category": "", "region": "North", "actual": 0.0, "expected": 5.0}
    rows = [keys | {"store": f"S{i}", "direction": 0, "loss_units": 5.0} for i in range(3)]
    parts = charts_inbox.contributions(pd.DataFrame(rows), ["region", "", "North", ""])
    assert parts["gap"].tolist() == [-5.0, -5.0, -5.0]


def test_an_incident_of_one_series_has_no_parts():
    row = {"level": "total", "product_category": "", "region": "", "store": "", "actual": 0.0, "expected": 5.0}
    members = pd.DataFrame([row | {"direction": -1, "loss_units": 5.0}])
    assert charts_inbox.contributions(members, ["total", "", "", ""]).empty


def test_an_incident_leads_to_the_forecast_of_its_series(retailer, open_page):
    app = open_page("anomaly-inbox", incident="1")
    series = next(one.proto for one in app.get("page_link") if one.proto.label.startswith("Its forecast"))
    assert series.page == "forecasts"
    assert "level=region" in series.query_string
    assert "region=HE" in series.query_string


def test_many_small_parts_are_those_of_their_regions():
    keys = {"level": "category_store", "product_category": "", "actual": 1.0, "expected": 2.0, "direction": -1}
    rows = [
        keys | {"store": f"S{i:03d}", "region": ("North", "South")[i % 3 == 0], "loss_units": 1.0} for i in range(300)
    ]
    parts = charts_inbox.contributions(pd.DataFrame(rows), ["total", "", "", ""])
    assert parts["name"].tolist() == ["North", "South"]
    assert parts["gap"].tolist() == [-200.0, -100.0]
