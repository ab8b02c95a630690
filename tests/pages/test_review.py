"""The Review page as a supply-chain manager meets it on Monday, with a made-up retailer behind it."""

import datetime as dt
import json
import time

import pandas as pd
import pytest

from trendcast.services.review_figures import Scope
from trendcast.ui import filters, text


def words(app) -> str:
    """All text of a page, escapes undone."""
    kinds = ("header", "subheader", "markdown", "caption", "warning", "error", "info")
    said = "\n".join(str(element.value) for kind in kinds for element in app.get(kind) if hasattr(element, "value"))
    return said.replace("\\", "").replace(text.ISOLATE, "").replace(text.RELEASE, "").replace(text.JOINER, "")


def tiles(app) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def links(app) -> dict[str, str]:
    """Label -> page and query of the links."""
    found = app.get("page_link")
    return {
        link.proto.label.replace("\\", "").replace("*", ""): f"{link.proto.page}?{link.proto.query_string}"
        for link in found
    }


def table(app, column: str) -> pd.DataFrame:
    """The table that has the column."""
    return next(frame.value for frame in app.dataframe if column in frame.value)


def figure(app, position: int = 0) -> dict:
    return json.loads(app.get("plotly_chart")[position].proto.spec)


def test_the_root_leads_to_the_review_with_everything_on_it(retailer, open_page):
    app = open_page("review")
    assert not app.exception
    assert not app.error
    assert app.header[0].value == "Review"
    assert [element.value for element in app.subheader] == [
        "Exceptions",
        "Top risks",
        "Risers and fallers",
        "What changed since last week",
        "All categories",
        "Last decisions",
    ]


def test_the_finding_says_how_it_stands_and_what_to_do_first(retailer, open_page):
    said = words(open_page("review"))
    assert "#### The next 12 weeks should bring sales of" in said
    assert "4\u202f% more than the same weeks last year" in said
    assert "First: order 420 units of Clothing by Tue 29 Sep 2026" in said  # before the anomaly, whose money is gone
    assert "1,480 at stake" in said


def test_tiles_have_level_lag_and_comparison(retailer, open_page):
    app = open_page("review")
    shown = tiles(app)
    assert shown["Error at 1 week"] == "9.1\u202f%"
    assert shown["Error at 4 weeks"] == "12.1\u202f%"
    assert shown["Bias"] == "\u22121.2\u202f%"
    assert shown["Value added"] == "14.8\u202f%"  # 1 - 0.121 / 0.142
    assert shown["Stock-out rate"] == "3.3\u202f%"  # 3 days of 13 weeks
    assert shown["Inventory value"] == "2,448"  # three categories of 816
    assert shown["Open alerts"] == "3"
    tile = next(metric for metric in app.metric if metric.label == "Error at 1 week")
    assert tile.delta == "+1.2 points"
    assert "Category level; vs a week ago; best naive" in words(app)
    assert "WAPE, category, 1 week ahead" in tile.help.replace("\\", "")


def test_every_tile_and_exception_leads_somewhere(retailer, open_page):
    from trendcast.ui.shell import PAGES

    app = open_page("review", region="HE")
    there = {row[0] for row in PAGES}
    found = links(app)
    assert any("forecasts" in target for target in found.values())
    for target in found.values():
        assert "region=HE" in target  # the filters stay
    if "accuracy.py" in there:
        assert "category=Electronics" in next(v for k, v in found.items() if "much worse" in k)
    if "inventory.py" in there:
        assert "category=Clothing" in next(v for k, v in found.items() if "ordered now" in k)


def test_broken_rules_are_counted_and_the_others_are_said_to_be_fine(retailer, open_page):
    said = words(open_page("review")) + str(links(open_page("review")))
    for sentence in (
        "1 category was forecast much worse",
        "1 category was off to one side for 4 weeks",
        "1 category must be ordered now",
        "2 high anomalies are open",
    ):
        assert sentence in said.replace("**", "")
    assert "Checked, and nothing found: late data, held batches" in said


def test_open_incidents_in_the_data_are_counted_and_lead_to_their_list(retailer, open_page):
    app = open_page("review")
    target = next(v for k, v in links(app).items() if "1 incident in the data is open" in k)
    assert target.startswith("anomaly-inbox")
    assert "kind=DATA_QUALITY" in target


def test_what_is_snoozed_is_not_open_but_named(retailer, open_page):
    retailer.incident_rows[1]["snoozed_until"] = dt.date(2100, 1, 1)
    app = open_page("review")
    assert tiles(app)["Open alerts"] == "2"
    assert "1 high, 21.0\u202fk off; 1 more snoozed." in words(app)
    assert any("1 high anomaly is open" in label for label in links(app))
    assert "Clothing: 0 sold" not in words(app), "no risk either"


def test_risks_are_ranked_by_money_and_those_beyond_five_wait(make_retailer, open_page):
    retailer = make_retailer(categories=tuple(f"Category {i:02d}" for i in range(24)))
    app = open_page("review")
    said = words(app)
    order = [said.index(part) for part in ("21.0\u202fk**", "9,100**", "1,480**", "1,479**")]
    assert order == sorted(order)
    assert "18\u202fmore risks" not in said  # an expander's label is no text
    assert not any("Why" in frame.value for frame in app.dataframe)
    assert retailer.run_info.has_money


def test_risers_and_fallers_are_bars_around_zero_with_their_figures(retailer, open_page):
    app = open_page("review")
    bars = figure(app)["data"][0]
    review = retailer.review(
        retailer.run_info, dt.date(2026, 9, 28), "units", retailer.review_figures(retailer.run_info, Scope())
    )
    lines = [*review.risers, *reversed(review.fallers)]
    assert len(bars["x"]) == len(lines)
    for label, line in zip(bars["text"], lines, strict=True):
        assert text.percent(line.units.change, 0, sign=True) in label
    assert app.get("plotly_chart")[0].proto.alt.startswith("Bar chart of the change")


def test_the_causes_add_up_to_what_changed(retailer, open_page):
    bars = figure(open_page("review"), 1)["data"][0]
    import base64

    import numpy as np

    values = bars["x"]
    if isinstance(values, dict):
        values = np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]).tolist()
    assert sum(values[:-1]) == pytest.approx(values[-1])


def test_the_summary_has_a_row_per_category_and_a_search(make_retailer, open_page):
    make_retailer(categories=tuple(f"Category {i:02d}" for i in range(24)))
    app = open_page("review")
    rows = table(app, "Next 12 weeks")
    assert len(rows) == 24
    assert {"Last 12 weeks", "Next 12 weeks", "Change", "Vs last week", "Error 1 week ahead", "Anomalies"} <= set(rows)
    assert rows["Next 12 weeks"].dtype == "float64"  # so that it sorts
    app.get_by_key("find").set_value("category 1").run()
    rows = table(app, "Next 12 weeks")
    assert sorted(rows["Category"]) == [f"Category {i}" for i in range(10, 20)]
    app.get_by_key("find").set_value("nobody").run()
    assert "No category has “nobody”" in words(app)


def test_sales_are_in_the_measure_of_the_bar(retailer, open_page):
    assert tiles(open_page("review"))["Next 12 weeks"] == "105\u202fk"
    assert tiles(open_page("review", unit="money"))["Next 12 weeks"] == "262\u202fk"  # at 2.5 a unit


def test_without_prices_risks_are_counted_in_units(make_retailer, open_page):
    retailer = make_retailer(money=False)
    app = open_page("review")
    assert not app.exception
    assert not retailer.run_info.has_money
    assert "708\u202funits" in words(app)
    assert tiles(app)["Inventory value"] == text.NONE


def test_one_category_and_no_stock_and_no_past_forecasts(make_retailer, open_page):
    retailer = make_retailer(categories=("Only",), regions=("HE",))
    retailer.no_stock = retailer.first_week = True
    retailer.incident_rows = []
    app = open_page("review")
    assert not app.exception
    assert not app.error
    said = words(app)
    assert (
        "Nothing stands out. Checked: late data, held batches, incidents in the data, high anomalies, bands that do "
        "not hold, new series." in said
    )
    assert "Nothing needs a decision this week." in said
    assert "No stock-out, overstock or open anomaly is known here." in said
    assert "No forecast was published a week ago" in said
    assert "back-test" in next(metric for metric in app.metric if metric.label == "Error at 1 week").help.replace(
        "\\", ""
    )
    assert len(app.get("plotly_chart")) == 1


def test_decisions_show_whether_they_paid(retailer, open_page):
    for outcome, money in (("The order came in time.", 900.0), ("It was not needed.", -100.0), ("", None)):
        retailer.decide(
            run_id=7, product_category="Clothing", decision="accept", recommendation={"sentence": "Order."}, who="anna"
        )
        retailer.decided[-1] |= {"outcome": outcome, "outcome_money": money}
    app = open_page("review")
    assert "2\u202fdecisions with an outcome, 1 paid; all together brought 800" in words(app)
    rows = table(app, "Outcome")
    assert list(rows["Outcome"]) == ["Not known yet", "It was not needed.", "The order came in time."]


@pytest.mark.parametrize(
    ("decision", "run_id", "left"),
    [("accept", 7, False), ("modify", 7, False), ("defer", 7, True), ("reject", 7, True), ("accept", 6, True)],
)
def test_an_order_that_somebody_accepted_is_no_longer_to_be_done(retailer, open_page, decision, run_id, left):
    about = {"run_id": run_id, "product_category": "Clothing", "decision": decision}
    retailer.decide(**about, recommendation={"sentence": "Order."}, who="anna")
    app = open_page("review")
    assert ("First: order 420 units of Clothing" in words(app)) == left
    assert any("must be ordered now" in label for label in links(app)) == left


def test_hostile_names_are_text_everywhere(make_retailer, open_page):
    hostile = ("<img src=x onerror=alert(1)>", "$\\frac{1}{2}$", ":red[danger]", "[link](http://evil.example)", "a,b")
    make_retailer(categories=hostile)
    app = open_page("review")
    assert not app.exception
    assert not app.error
    for kind in ("header", "markdown", "caption"):
        for element in app.get(kind):
            assert not getattr(element.proto, "allow_html", False)
            for name in hostile[:4]:
                assert name not in element.value
    for link in app.get("page_link"):
        assert all(name not in link.proto.label for name in hostile[:4])
    for chart in app.get("plotly_chart"):
        assert "<img" not in chart.proto.spec
        assert "\\u003cimg" not in chart.proto.spec


def test_five_hundred_categories_are_drawn_and_asked_for_once(make_retailer, open_page):
    retailer = make_retailer(categories=tuple(f"Category {i:03d}" for i in range(500)), stores=1)
    app = open_page("review")
    assert not app.exception
    assert len(table(app, "Next 12 weeks")) == 500
    before = retailer.reads
    started = time.process_time()
    app.run()
    assert retailer.reads == before
    assert time.process_time() - started < 3  # far below when nothing else runs
    assert max(len(link.proto.query_string) for link in app.get("page_link")) < 4000


def test_away_later_the_last_review_stays_under_a_banner(retailer, open_page, monkeypatch):
    from trendcast.ui import memory, reads

    app = open_page("review")
    shown = tiles(app)
    retailer.away = True
    reads.standing(fresh=True)
    monkeypatch.setattr(memory.Recent, "SECONDS", 0.0)
    app.run()
    assert not app.exception
    assert "The database does not answer" in app.error[0].value
    assert tiles(app) == shown


def test_an_earlier_day_says_what_is_of_now(retailer, open_page):
    app = open_page("review", as_of="2026-09-20")
    assert not app.exception
    assert "Open anomalies, loads and decisions are those of now" in words(app)


def test_an_earlier_day_is_not_late(retailer, open_page):
    said = words(open_page("review", as_of="2026-09-20"))
    assert "days late" not in said
    assert "First load the missing sales" not in said


def test_an_error_names_its_level_and_leads_to_it(retailer, open_page):
    app = open_page("review")
    links = [link.proto for link in app.get("page_link") if link.proto.page == "accuracy"]
    assert any("level=category" in link.query_string for link in links)


def test_a_link_narrows_the_filters_on_view_and_names_the_level():
    on_view = filters.Filters(level="region", region=("HB,NI",), unit="money")
    assert filters.narrowed(on_view, (("category", "A"), ("category", "B,C"))) == {
        "level": ["category_region"],
        "category": ["A", "B,C"],
        "region": ["HB,NI"],
        "unit": ["money"],
    }
    assert filters.narrowed(on_view, (("incident", "7"),)) == {
        "level": ["region"],
        "region": ["HB,NI"],
        "unit": ["money"],
        "incident": ["7"],
    }


def test_what_a_url_says_counts_on_arrival_also_a_second_time(retailer, open_page, turn_to):
    app = open_page("review")
    for _ in range(2):
        app.query_params["category"] = "Clothing"
        turn_to(app, "forecasts")
        assert app.session_state["filter_category"] == ["Clothing"]
        app.get_by_key("filter_category").set_value([]).run()
        turn_to(app, "review")
        assert app.session_state["filter_category"] == []


def test_the_table_of_the_movers_says_then_and_now(retailer, open_page):
    app = open_page("review")
    rows = table(app, "A week ago")
    assert isinstance(rows, pd.DataFrame)
    assert list(rows.columns)[:4] == ["Category", "A week ago", "Now", "Change"]


def test_the_summary_has_the_largest_forecast_first(make_retailer, open_page):
    make_retailer(categories=tuple(f"Category {i:02d}" for i in range(12)))
    shown = table(open_page("review"), "Next 12 weeks")
    ahead = shown["Next 12 weeks"].tolist()
    assert len(ahead) > 1
    assert ahead == sorted(ahead, reverse=True)
    assert shown["Category"].tolist() != sorted(shown["Category"])
