"""What only the demo retailer has: a next day, the truth, and a first page while it is on its way."""

from __future__ import annotations

import pytest


def words(app):
    return " ".join(str(part.value) for part in [*app.markdown, *app.caption, *app.header])


def test_ones_own_data_have_no_next_day_and_no_truth(retailer, open_page):
    app = open_page()
    assert not app.exception
    assert "Next day" not in [button.label for button in app.button]
    assert "Show the truth" not in [toggle.label for toggle in app.toggle]


def test_the_next_day_is_asked_for_at_a_click(retailer, open_page):
    retailer.demo = True
    app = open_page()
    button = next(button for button in app.sidebar.button if button.label == "Next day")
    button.click().run()
    assert [name for name, _ in retailer.asked] == ["next_day"]


def test_the_next_day_says_what_it_brought_with_the_way_there(retailer, open_page):
    retailer.demo = True
    app = open_page()
    app.sidebar.button("demo_next_day").click().run()
    opened = [
        {"incident_id": 76 + n, "impact": "HIGH", "name": f"Toys {n}", "headline": f"Toys {n}: 0 sold; worth 9."}
        for n in range(6)
    ]
    done = {"day": "2026-11-23", "units": 182_000.0, "incidents": opened, "ended": 1}
    retailer.slot_rows[0] |= {"state": "done", "progress": {"result": done}}
    from trendcast.ui import reads

    reads.slots.clear()
    app.run()
    assert not app.exception
    said = next(one.value for one in app.sidebar.markdown if "came" in one.value)
    assert said == "**Mon 23 Nov 2026** came: 182\u202fk\u202funits, 6\u202fnew incidents, 1\u202fincident over."
    links = [one.proto for one in app.sidebar.get("page_link")]
    assert [link.query_string for link in links] == [*(f"incident={76 + n}" for n in range(4)), ""]
    assert "Toys 0" in links[0].label
    assert [one.value.replace("\\", "") for one in app.sidebar.caption][1:5] == ["0 sold."] * 4
    app.run()
    assert any("came" in one.value for one in app.sidebar.markdown), "until the next one is asked for"


def test_a_calm_next_day_says_so(retailer, open_page):
    retailer.demo = True
    app = open_page()
    app.sidebar.button("demo_next_day").click().run()
    done = {"day": "2026-11-23", "units": 950.0, "incidents": []}
    retailer.slot_rows[0] |= {"state": "done", "progress": {"result": done}}
    from trendcast.ui import reads

    reads.slots.clear()
    app.run()
    assert "950\u202funits, nothing unusual." in words(app)


def test_while_the_next_day_is_made_one_sees_how_far_it_is_and_cannot_ask_again(retailer, open_page):
    retailer.demo = True
    progress = {"stage": "Fitting the models", "done": 1, "total": 2}
    retailer.slot_rows = [{"id": 9, "name": "next_day", "state": "running", "progress": progress, "error": None}]
    app = open_page()
    assert next(button for button in app.sidebar.button if button.label == "Next day").disabled
    assert "Fitting the models" in app.sidebar.get("progress")[0].proto.text


def test_the_truth_is_off_until_somebody_asks_and_a_copy_of_the_url_shows_it_too(retailer, open_page):
    retailer.demo = True
    app = open_page()
    switch = next(toggle for toggle in app.sidebar.toggle if toggle.label == "Show the truth")
    assert not switch.value
    switch.set_value(True).run()
    assert "1" in app.query_params["truth"]
    copied = open_page(truth="1")
    assert next(toggle for toggle in copied.sidebar.toggle if toggle.label == "Show the truth").value


@pytest.mark.parametrize("state", ["queued", "running"])
def test_while_the_demo_moves_in_the_page_says_so(retailer, open_page, state):
    retailer.empty, retailer.loaded = True, False
    progress = {"stage": "Living through its last 13 Mondays", "done": 20, "total": 52}
    retailer.slot_rows = [{"id": 1, "name": "demo", "state": state, "progress": progress, "error": None}]
    app = open_page()
    assert not app.exception
    assert "A made-up retailer is moving in" in words(app)


def test_a_demo_that_failed_says_why_and_offers_to_try_again(retailer, open_page):
    retailer.empty, retailer.loaded = True, False
    retailer.slot_rows = [{"id": 1, "name": "demo", "state": "dead", "error": "The disk is full.", "progress": {}}]
    app = open_page()
    assert "disk is full" in words(app).replace("\\", "")
    app.button[0].click().run()
    assert retailer.asked == [("demo", {})]
