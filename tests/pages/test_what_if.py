"""The What-if page as a planner meets it, with a made-up retailer behind it."""

import base64
import datetime as dt
import json
from dataclasses import replace

import numpy as np
import pytest

from tests.pages.test_forecasts import words
from trendcast.errors import NotFound


def figure(app, position: int = 0) -> dict:
    return json.loads(app.get("plotly_chart")[position].proto.spec)


def names(app, position: int = 0) -> list[str]:
    return [trace.get("name") for trace in figure(app, position)["data"]]


def numbers(trace: dict) -> np.ndarray:
    """The values of a trace, which Plotly may have packed."""
    y = trace["y"]
    return np.frombuffer(base64.b64decode(y["bdata"]), y["dtype"]) if isinstance(y, dict) else np.array(y, float)


def key(app, name: str) -> str:
    widgets = [*app.slider, *app.select_slider, *app.button_group]
    return next(w.key for w in widgets if str(w.key).startswith("what_if_7_") and w.key.endswith(f"_{name}"))


def move(app, name: str, value):
    return app.get_by_key(key(app, name)).set_value(value).run()


def shown(app) -> str:
    return words(app).replace("\\", "")


def test_untouched_it_shows_the_published_forecast(retailer, open_page):
    app = open_page("what-if", level="category", category="Clothing")
    assert not app.exception
    assert app.header[0].value.endswith("Clothing⁩")
    assert "if all goes as planned" in shown(app)
    assert "What if" not in names(app)
    assert "As planned" in names(app)
    planned = next(trace for trace in figure(app)["data"] if trace.get("name") == "As planned")
    expected = retailer.forecast_weekly(7, [8])["mean"].to_numpy()
    np.testing.assert_array_equal(numbers(planned)[-12:], expected[:12])
    assert len(app.get_by_key(key(app, "weeks")).options) == 12  # as many as every page shows
    assert "running week" not in shown(app)


def test_a_running_week_in_the_sums_is_told(make_retailer, open_page):
    retailer = make_retailer()
    earlier = retailer.run_info.last_day - dt.timedelta(days=3)
    retailer.run_info = replace(retailer.run_info, last_day=earlier)
    app = open_page("what-if", level="category", category="Clothing")
    assert "what is left of the running week, Fri 25 Sep to Sun 27 Sep, and the 12 whole weeks after it" in shown(app)


def test_a_lower_price_sells_more_and_the_page_says_so(retailer, open_page):
    app = move(open_page("what-if"), "price", -10)
    assert "With prices 10\u202f% lower" in shown(app)
    assert "more (" in shown(app)
    assert "80\u202f% range" in shown(app)
    assert "What if" in names(app)
    assert app.metric[0].value.startswith("+")
    assert not app.warning
    assert not app.exception


def test_beyond_what_was_seen_it_says_extrapolating(retailer, open_page):
    app = open_page("what-if")
    assert "Extrapolating" not in shown(app)
    app = move(app, "price", -30)
    assert ":orange-badge[:material/warning: Extrapolating]" in shown(app)
    assert "lies beyond what was ever seen (−15\u202f% to +10\u202f%)" in shown(app)


def test_a_promotion_is_called_and_called_off_by_the_week(retailer, open_page):
    app = open_page("what-if")
    pills = app.get_by_key(key(app, "promotions"))
    assert pills.value == [dt.date(2026, 10, 5)]
    app = move(app, "promotions", [dt.date(2026, 10, 5), dt.date(2026, 10, 19)])
    assert "With a promotion from 19 Oct to 25 Oct" in shown(app)
    app = move(app, "promotions", [])
    assert "With no promotion from 5 Oct to 11 Oct" in shown(app)
    assert "less (" in shown(app)


def test_changes_hold_in_the_weeks_chosen_only(retailer, open_page):
    app = move(open_page("what-if"), "weeks", (dt.date(2026, 10, 5), dt.date(2026, 10, 19)))
    app = move(app, "price", 5)
    assert "from 5 Oct to 25 Oct" in shown(app)
    line = next(trace for trace in figure(app)["data"] if trace.get("name") == "What if")
    base = retailer.forecast_weekly(7, [1])["mean"].to_numpy()[:12]
    touched = ~np.isclose(numbers(line), base)
    assert touched.tolist() == [False, True, True, True] + [False] * 8


def test_without_running_at_once_it_waits_for_the_button(retailer, open_page):
    app = open_page("what-if")
    app.get_by_key("what_if_auto").set_value(False).run()
    app = move(app, "price", -10)
    assert "Changed since the last run" in shown(app)
    assert "if all goes as planned" in shown(app)
    app.get_by_key("what_if_run").click().run()
    assert "With prices 10\u202f% lower" in shown(app)
    app.get_by_key("what_if_reset").click().run()
    assert "if all goes as planned" in shown(app)


def test_unproven_drivers_stand_apart(retailer, open_page):
    app = open_page("what-if")
    labels = [expander.label for expander in app.expander]
    assert labels == ["Circumstances (1)", "Not proven here (1)"]
    app = move(app, "economic_index", 102.0)
    assert "not proven on last year's sales" in shown(app)


def test_several_series_have_bands_by_week_and_none_by_day(retailer, open_page):
    app = open_page("what-if", level="category", category=["Clothing", "Electronics"], by="day")
    assert not app.exception
    assert "daily bands do not add up" in shown(app)
    assert not any("80" in str(name) for name in names(app))


def test_a_retailer_without_drivers_is_told_what_to_load(retailer, open_page):
    retailer.no_drivers = True
    app = open_page("what-if")
    assert not app.exception
    assert not app.slider
    assert "unit_price or sales_revenue in sales_daily" in shown(app)
    assert len(app.get("plotly_chart")) == 1


def test_an_older_run_whose_days_are_gone_says_so(retailer, open_page, monkeypatch):
    from trendcast.errors import NotFound

    def gone(run, ids):
        raise NotFound("The days of this forecast are no longer kept: choose a newer one.")

    monkeypatch.setattr(retailer, "what_if_baseline", gone)
    app = open_page("what-if")
    assert not app.exception
    assert "no longer kept" in shown(app)
    assert "“Now”" in shown(app)


def keep(app, name: str):
    app.get_by_key("what_if_name").set_value(name)
    app.get_by_key("what_if_note").set_value("for the meeting")
    return next(button for button in app.button if button.label == "Keep this scenario").click().run()


def test_a_scenario_is_kept_compared_opened_by_its_address_and_put_aside(retailer, open_page):
    app = keep(move(open_page("what-if"), "price", -10), "Sale")
    assert retailer.kept[0].name == "Sale"
    assert retailer.kept[0].author == "local"
    app = keep(move(app, "price", 5), "Dearer <b>")
    app.get_by_key("what_if_compare").set_value([1, 2]).run()
    assert not app.exception
    assert len(app.get("plotly_chart")) == 2
    assert "&#60;b&#62;" in names(app, 1)[1]
    assert app.query_params["scenario"] == "2"

    again = open_page("what-if", scenario="1")
    assert "With prices 10\u202f% lower" in shown(again)
    again.get_by_key("what_if_compare").set_value([1]).run()
    again.get_by_key("what_if_archive").click().run()
    assert [saved.id for saved in retailer.kept] == [2]


def test_a_scenario_without_a_name_is_not_kept(retailer, open_page):
    from trendcast.errors import InvalidInput

    def refuse(**what):
        raise InvalidInput("A scenario needs a name.")

    retailer.save_scenario = refuse
    app = keep(move(open_page("what-if"), "price", -10), "")
    assert any("needs a name" in warning.value for warning in app.warning)


@pytest.mark.parametrize("number", ["99", "soon", "-1"])
def test_a_link_to_no_scenario_gets_a_sentence(retailer, open_page, number):
    app = open_page("what-if", scenario=number)
    assert not app.exception
    assert "scenario" in app.warning[0].value


def test_every_chart_says_what_it_shows(retailer, open_page):
    app = move(open_page("what-if", unit="money"), "price", -10)
    for chart in app.get("plotly_chart"):
        assert len(chart.proto.alt) > 40
    assert "more in sales" in shown(app)


def test_an_earlier_run_whose_history_is_gone_is_still_tried_and_says_so(make_retailer, open_page):
    retailer = make_retailer()

    def gone(run, ids):
        raise NotFound("This forecast's history is no longer kept: choose a newer one.")

    retailer.history_daily = gone
    app = open_page("what-if")
    assert not app.exception
    assert "history is no longer kept" in shown(app)
    assert "As planned" in names(app)
    assert "Actual" not in names(app)
