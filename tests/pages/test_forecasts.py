"""The Forecasts page as a planner meets it, with a made-up retailer behind it."""

import json
import re

import pandas as pd
import pytest

from trendcast.ui import measures, scores


def words(app) -> str:
    """All text of a page."""
    kinds = ("header", "subheader", "markdown", "caption", "warning", "error", "info", "text")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind) if hasattr(element, "value"))


def figure(app, position: int = 0) -> dict:
    return json.loads(app.get("plotly_chart")[position].proto.spec)


def tiles(app) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def test_the_whole_page_is_there(retailer, open_page):
    app = open_page()
    assert not app.exception
    assert app.header[0].value == "All categories"
    assert [element.value for element in app.subheader] == [
        "History and forecast",
        "What to do",
        "Unusual days",
        "Numbers",
        "What the number is made of",
        "Measured accuracy",
        "A second opinion",
    ]
    assert "4 % more than the same weeks last year" in words(app).replace("\\", "")
    assert "28 of 28 series" in words(app)


def test_tiles_show_the_services_figures(retailer, open_page):
    shown = tiles(open_page())
    total = retailer.forecast_weekly(7, [1])["mean"].head(12).sum()
    assert shown["Next 12\u202fweeks"] == f"{total / 1000:.0f}\u202fk"
    assert shown["Error, weeks 1\N{EN DASH}13"] == "8.1\u202f%"
    assert shown["80\u202f% band, weeks"] == "82.3\u202f%"


def test_the_chart_has_history_last_year_forecast_and_both_bands(retailer, open_page):
    names = [trace.get("name") for trace in figure(open_page())["data"]]
    for name in ("Actual", "Last year", "Forecast", "Stock-out", "Promotion", "Event"):
        assert name in names
    assert any(str(name).startswith("80") and "held 82.3" in name for name in names)
    assert any(str(name).startswith("95") and "held 96.1" in name for name in names)


def test_every_chart_says_what_it_shows_and_draws_no_more_than_a_browser_bears(retailer, open_page):
    app = open_page(by="day", **{"from": "2024-01-01"})
    charts = app.get("plotly_chart")
    assert len(charts) == 2
    for position, chart in enumerate(charts):
        assert len(chart.proto.alt) > 40
        for trace in figure(app, position)["data"]:
            assert trace["type"] in ("scatter", "bar")
            assert len(trace.get("customdata", [])) <= 2000


def test_a_url_restores_the_selection_with_a_comma_in_a_name(retailer, open_page):
    app = open_page(level="category_region", category=["Clothing"], region=["HB,NI", "HE"], unit="money", by="day")
    assert not app.exception
    assert app.session_state["filter_region"] == ["HB,NI", "HE"]
    assert app.query_params["region"] == ["HB,NI", "HE"]
    assert app.query_params["by"] == "day"
    assert not app.warning


def test_filters_are_written_to_the_url_and_survive_a_change_of_page(retailer, open_page, turn_to):
    app = open_page()
    app.get_by_key("filter_level").set_value("region").run()
    app.get_by_key("filter_region").set_value(["HB,NI"]).run()
    assert app.query_params["region"] == "HB,NI"
    turn_to(app, "data")
    assert app.session_state["filter_region"] == ["HB,NI"]
    turn_to(app, "forecasts")
    assert app.session_state["filter_level"] == "region"
    assert "HB" in app.header[0].value


def test_stores_are_those_of_the_chosen_region_only(retailer, open_page):
    app = open_page(level="store", region="HE")
    offered = app.get_by_key("filter_store").options
    assert offered == ["S0003", "S0004"]


def test_a_level_without_a_dimension_does_not_ask_for_it(retailer, open_page):
    app = open_page(level="category")
    keys = {element.key for element in app.multiselect}
    assert keys == {"filter_category"}


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"level": "planet"}, "There is no level"),
        ({"category": "Clothng"}, "Showing \u2068Clothing\u2069 instead"),
        ({"region": "Atlantis"}, "it was left out"),
        ({"from": "soon"}, "not a date"),
        ({"from": "2026-12-01", "to": "2026-01-01"}, "swapped"),
        ({"from": "1999-01-04"}, "There are weeks from"),
        ({"unit": "bananas"}, "Showing units"),
        ({"level": "total", "store": "S0001"}, "has no store"),
        ({"as_of": "2001-01-01"}, "No forecast had been published"),
    ],
)
def test_a_wrong_url_gets_a_sentence_and_the_nearest_view(retailer, open_page, parameters, sentence):
    app = open_page(**parameters)
    assert not app.exception
    assert sentence in app.warning[0].value
    assert app.metric


def test_the_table_shows_measures_by_week_and_equals_the_service(retailer, open_page):
    app = open_page(level="category", category="Electronics")
    table = app.dataframe[0].value.set_index("Measure")
    assert list(table.index[:4]) == ["Actual", "Demand without stockouts", "Last year", "Forecast, mean"]
    series = retailer.index.query("level == 'category' and product_category == 'Electronics'")["series_id"].iloc[0]
    weekly = retailer.forecast_weekly(7, [int(series)]).set_index("week")
    week = pd.Timestamp("2026-10-05")
    assert table.loc["Forecast P50", "2026-10-05"] == f"{weekly.loc[week, 'q50']:,.0f}"
    assert table.loc["Low (P10)", "2026-10-05"] == f"{weekly.loc[week, 'q10']:,.0f}"


def test_all_categories_of_a_region_are_the_region(retailer, open_page):
    """Forecasts add up, so the whole's own series is shown, with its own bands."""
    app = open_page(level="category_region", region="HE")
    names = [trace.get("name") for trace in figure(app)["data"]]
    assert any(str(name).startswith("80") for name in names)


def test_money_is_hidden_where_there_is_none(make_retailer, open_page):
    make_retailer(money=False)
    app = open_page(unit="money")
    assert "no money to show" in app.warning[0].value
    assert "filter_unit" not in {element.key for element in app.get("button_group")}


def test_an_earlier_day_shows_the_run_of_that_day(retailer, open_page):
    app = open_page(as_of="2026-09-20")
    assert "As of Sun 20 Sep 2026" in words(app)
    assert app.query_params["as_of"] == "2026-09-20"


def test_a_look_is_a_job_for_the_one_series_on_view(retailer, open_page):
    app = open_page(level="category", category="Clothing")
    app.get_by_key("look_prophet").click().run()
    (name, arguments) = retailer.asked[0]
    assert (name, arguments["kind"], arguments["run_id"]) == ("look", "prophet", 7)
    assert "Waiting for a worker" in str(app.get("progress")[0].proto)


def test_a_look_that_was_made_is_drawn_beside_our_forecast(retailer, open_page):
    series = int(retailer.index.query("level == 'category' and product_category == 'Clothing'")["series_id"].iloc[0])
    days = [str(day.date()) for day in retailer._ahead()]
    for kind in ("prophet", "mstl"):
        look = {"kind": kind, "forecast": {"dates": days, "mean": [50.0] * len(days)}}
        retailer.look_results[(7, series, kind)] = look
    for by in ("week", "day"):
        app = open_page(level="category", category="Clothing", by=by)
        assert not app.error
        names = [trace.get("name", "") for trace in figure(app, 2)["data"]]
        assert any("Prophet" in name for name in names)
        assert any("MSTL" in name for name in names)
        assert not any("look_" in str(button.key) for button in app.button)


def test_a_level_measured_under_its_other_name_has_its_accuracy(make_retailer, open_page):
    retailer = make_retailer(categories=("Only",), stores=3)
    plain = retailer.series_accuracy
    retailer.series_accuracy = lambda run, ids: plain(run, ids) | dict.fromkeys(scores.MEASURED)
    app = open_page(level="store", store="S0001")
    assert not app.error
    assert tiles(app)["80\u202f% band, weeks"] == "82.3\u202f%"


@pytest.mark.parametrize(("by", "held", "count"), [("week", "82.3", "45 past weeks"), ("day", "79.1", "312 past days")])
def test_the_coverage_is_that_of_the_bands_on_view(retailer, open_page, by, held, count):
    app = open_page(level="total", by=by)
    assert tiles(app)[f"80\u202f% band, {by}s"] == f"{held}\u202f%"
    tile = next(metric for metric in app.metric if "80\u202f% band" in metric.label)
    assert count in tile.help
    names = [str(trace.get("name", "")) for trace in figure(app, 0)["data"]]
    assert any(f"80\u202f% band (held {held}" in name for name in names)
    error = next(metric for metric in app.metric if metric.label == "Error, weeks 1\N{EN DASH}13")
    assert "weeks 1 to 13 ahead" in error.help


def test_the_error_of_a_selection_is_not_taken_for_that_of_its_level(retailer, open_page):
    apart = "all series at category level together; the error on top of the page is that of your selection alone"
    assert apart in words(open_page(level="category", category="Electronics"))
    assert apart not in words(open_page(level="category"))


def test_nothing_measured_yet_is_said(retailer, open_page):
    retailer.series_accuracy = lambda run, ids: {
        "weeks": 0,
        "origins": 0,
        "wape": {},
        "bias": {},
        "by_week": [],
        "level": "total",
        "coverage80": None,
        "coverage95": None,
        "points": None,
    }
    retailer.accuracy = lambda run, level: pd.DataFrame(columns=["level", "model", "horizon_week", "wape", "n"])
    app = open_page()
    assert not app.error
    assert "still to come" in words(app)


def test_the_warm_page_asks_the_database_nothing(retailer, open_page):
    app = open_page()
    app.run()
    before = retailer.reads
    app.run()
    assert retailer.reads == before


def test_export_holds_the_rows_on_view_in_full_numbers(retailer, open_page):
    from trendcast.ui import reads
    from trendcast.ui.provider import Choice

    open_page()
    grid = reads.table(7, Choice("total"), "units", "week")
    out = measures.export(
        measures.window(grid, pd.Timestamp("2026-09-28"), pd.Timestamp("2026-12-14")), "week", "units"
    )
    weekly = retailer.forecast_weekly(7, [1]).head(12)
    assert out["Forecast, mean (units)"].tolist() == pytest.approx(weekly["mean"].tolist())
    assert out["Week (Monday)"].tolist() == weekly["week"].tolist()


def test_anomalies_are_diamonds_on_the_history_and_lead_to_their_incident(retailer, open_page):
    app = open_page(level="region", region="HE", by="day")
    traces = {trace.get("name"): trace for trace in figure(app)["data"]}
    assert traces["High anomaly"]["marker"]["symbol"] == "diamond"
    assert traces["Low anomaly"]["marker"]["symbol"] == "diamond-open"
    assert traces["High anomaly"]["marker"]["size"] > traces["Low anomaly"]["marker"]["size"]
    assert traces["High anomaly"]["x"][0].startswith("2026-09-26")
    assert "412 sold" in traces["High anomaly"]["customdata"][0]
    assert "2 days marked as unusual, 1 of high impact" in app.get("plotly_chart")[0].proto.alt.replace("\u202f", " ")
    incident = next(link.proto for link in app.get("page_link") if link.proto.label.startswith("High"))
    assert incident.page == "anomaly-inbox"
    assert "incident=1" in incident.query_string


def test_an_unusual_day_is_told_as_its_incident_tells_it(make_retailer, open_page):
    retailer = make_retailer()
    retailer.incident_rows[0] |= {"impact": "MEDIUM", "headline": "Region HE: a storm.", "status": "ACKNOWLEDGED"}
    app = open_page(level="region", region="HE")
    labels = [link.proto.label for link in app.get("page_link")]
    assert "Medium, Sun 27 Sep, acknowledged" in labels
    assert "Low, Mon 21 Sep, resolved: expected" in labels
    assert "a storm" in words(app)


def test_without_stock_what_to_do_says_that_orders_are_unknown(make_retailer, open_page):
    retailer = make_retailer()
    retailer.no_stock = True
    retailer.recommendations = lambda run, rows: []
    app = open_page()
    assert "No stock is loaded, so nothing can be said about orders." in words(app)
    assert "Nothing: stock and trend" not in words(app)
    assert any(link.proto.label == "What to load" for link in app.get("page_link"))


def test_a_week_is_marked_by_its_gravest_day():
    marks = [
        measures.Mark(pd.Timestamp("2026-09-22").date(), "LOW", "A little.", 1, "NEW"),
        measures.Mark(pd.Timestamp("2026-09-25").date(), "HIGH", "A lot.", 2, "NEW"),
        measures.Mark(pd.Timestamp("2020-01-01").date(), "HIGH", "Not on view.", 3, "NEW"),
    ]
    table = pd.DataFrame({"date": [pd.Timestamp("2026-09-21")], "actual": [7.0], "last_year": [8.0]})
    marked = measures.marked(table, marks, "week")
    assert marked["impact"].tolist() == ["HIGH"]
    assert marked["actual"].tolist() == [7.0]
    assert marked["headline"].tolist() == ["A lot. A little."]


def test_what_stock_outs_turned_away_is_hatched_and_a_row_of_its_own(retailer, open_page):
    app = open_page(level="category", category="Electronics", span="all")
    traces = {trace.get("name"): trace for trace in figure(app)["data"]}
    assert traces["Lost to stock-outs"]["marker"]["pattern"]["shape"] == "x"
    assert traces["Demand without stockouts"]["line"]["dash"] == "dot"
    rows = app.dataframe[0].value.set_index("Measure")
    actual = float(rows.loc["Actual", "2026-06-01"].replace(",", ""))
    demand = float(rows.loc["Demand without stockouts", "2026-06-01"].replace(",", ""))
    assert demand - actual == pytest.approx(6 * 40, abs=1)  # six days of that week


def test_nothing_lost_draws_and_lists_nothing(retailer, open_page):
    plain = retailer.history_daily
    retailer.history_daily = lambda run, ids: plain(run, ids).assign(lost=0.0, lost_revenue=0.0)
    app = open_page()
    assert "Lost to stock-outs" not in {trace.get("name") for trace in figure(app)["data"]}
    assert "Demand without stockouts" not in set(app.dataframe[0].value["Measure"])


def test_what_to_do_stands_below_the_chart_and_leads_to_the_stock(retailer, open_page):
    app = open_page(level="category", category="Clothing")
    said = words(app).replace("\\", "")
    assert "Order 420 units of Clothing by Tue 29 Sep 2026 (1,480 at stake)" in said
    assert "The trend rises by 12 %" in said
    order = next(link.proto for link in app.get("page_link") if "Inventory" in link.proto.label)
    assert order.page == "inventory"
    assert "category=Clothing" in order.query_string


def test_each_action_is_a_short_bold_line_with_its_tags_side_by_side_and_why_below(retailer, open_page):
    found = [
        {
            "tag": "HIGH VOLATILITY",
            "tags": ["HIGH VOLATILITY", "HIGH UNCERTAINTY"],
            "sentence": f"HIGH VOLATILITY, HIGH UNCERTAINTY: Order {n} units of Toys now. Without it: 29 % chance of a "
            "stock-out. Main drivers: season (+14 %).",
            "money": 3990.0 - n,
            "kind": "stock",
            "product_category": "Toys",
        }
        for n in range(4)
    ]
    retailer.recommendations = lambda run, rows: found
    app = open_page()
    bold = [re.sub(r"[\\\u2068\u2069]", "", e.value) for e in app.markdown if e.value.startswith("**")]
    lines = [line for line in bold if "units of Toys" in line]
    assert len(lines) == 3
    assert lines[0] == (
        "**Order 0 units of Toys now (3,990 at stake).** :blue-badge[HIGH VOLATILITY] :blue-badge[HIGH UNCERTAINTY]"
    )
    why = [element.value for element in app.caption if element.value.startswith("Without it")]
    assert len(why) == 3
    assert "Main drivers" in why[0]
    assert any("All 4" in link.proto.label for link in app.get("page_link"))


def test_a_sum_without_unusual_days_of_its_own_says_what_is_open_below_it(make_retailer, open_page):
    retailer = make_retailer()
    none = retailer.marks(retailer.run_info, [1]).iloc[:0]
    retailer.marks = lambda run, ids: none
    app = open_page()
    assert "None of this sum itself on view; 3 open below it." in words(app)
    inbox = next(link.proto for link in app.get("page_link") if link.proto.label == "Open in Anomalies")
    assert inbox.page == "anomaly-inbox"
    retailer.incident_rows = []
    app = open_page(level="category", category="Clothing")
    assert "None on view." in words(app)


def test_the_truth_is_drawn_only_where_it_is_asked_for(make_retailer, open_page):
    retailer = make_retailer()
    retailer.demo = True
    assert "Truth (demo only)" not in {trace.get("name") for trace in figure(open_page())["data"]}
    app = open_page(truth="1")
    assert "Truth (demo only)" in {trace.get("name") for trace in figure(app)["data"]}
    assert "No model" in words(app)


def test_the_parts_have_a_finding_that_says_what_to_do(retailer, open_page):
    said = words(open_page()).replace("\\", "")
    assert "Over the next 12 weeks" in said or "rest on the level alone" in said
