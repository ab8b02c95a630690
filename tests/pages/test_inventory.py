"""The Inventory page as whoever orders meets it, with a made-up retailer behind it."""

import datetime as dt
import io
import json

import numpy as np
import pandas as pd
import pytest

from trendcast.export import tables
from trendcast.ui import charts_stock, stock, stock_card

HOSTILE = "<img src=x onerror=alert(1)> [link](http://evil.example) $x$ =1+1"


def words(app) -> str:
    kinds = ("header", "subheader", "markdown", "caption", "warning", "error")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind)).replace("\\", "")


def tiles(app) -> dict[str, tuple[str, str]]:
    return {metric.label: (metric.value, metric.delta) for metric in app.metric}


def key(retailer, name: str = "Clothing", replaces: int = 0) -> str:
    return f"card_{retailer.run_info.id}_{replaces}_{name}"


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_puts_what_needs_a_decision_first(make_retailer, open_page):
    make_retailer(categories=("A", "B", "C", "D", "E"))
    app = open_page("inventory")
    assert not app.exception
    assert not app.error
    assert "1.48 k margin is at stake" in words(app)
    frame = app.dataframe[0].value
    assert frame["Status"].tolist() == ["▲ Order now", "▲ Order now", "△ Order soon", "■ Excess", "● OK"]
    assert frame["Category"].tolist() == ["A", "E", "D", "B", "C"]
    assert frame["By"].tolist() == ["Tue 29 Sep"] * 3 + ["–", "–"]
    assert frame["At stake"].iloc[0] == "1,480"


def test_a_telephone_shows_what_to_order_by_when(retailer, open_page):
    """390 pixels show some 350 of a table."""
    shown = open_page("inventory").dataframe[0]
    columns = json.loads(shown.proto.columns)
    first = list(shown.value.columns[:4])
    assert first == ["Status", "Category", "Order", "By"]
    assert sum(columns[name]["width"] for name in first) <= 350


def test_tiles_show_the_services_figures(retailer, open_page):
    shown = tiles(open_page("inventory"))
    assert shown["Order now"][0] == "1"
    assert shown["Money at risk"] == ("1,480", "1,300 in excess")
    assert shown["Stock value"] == ("2,448", "612 a year")
    assert shown["Stock-out rate"] == ("2.1\u202f%", "-1.3 points")


def test_without_prices_no_money_is_made_up(make_retailer, open_page):
    make_retailer(money=False)
    app = open_page("inventory")
    assert tiles(app)["Money at risk"] == ("–", "")
    assert app.dataframe[0].value["At stake"].tolist() == ["120\u202funits", "800\u202funits", "120\u202funits"]


@pytest.mark.parametrize("parameters", [{"status": "excess"}, {"status": ["excess", "ok"]}, {"status": "x"}])
def test_a_pasted_url_restores_the_status_filter(retailer, open_page, parameters):
    app = open_page("inventory", **parameters)
    assert not app.exception
    wanted = parameters["status"] if isinstance(parameters["status"], list) else [parameters["status"]]
    shown = [stock.STATUSES[v] for v in wanted if v in stock.STATUSES] or ["▲ Order now", "■ Excess", "● OK"]
    assert app.dataframe[0].value["Status"].tolist() == shown


def test_a_status_is_one_click_and_goes_into_the_url(retailer, open_page):
    app = open_page("inventory")
    app.get_by_key("stock_status").set_value(["ok"]).run()
    assert app.dataframe[0].value["Category"].tolist() == ["Home & Garden"]
    assert app.query_params["status"] in ("ok", ["ok"])


def test_categories_are_filtered_and_regions_said_to_change_nothing(retailer, open_page):
    app = open_page("inventory", level="category_region", category="Clothing", region="HE")
    assert app.dataframe[0].value["Category"].tolist() == ["Clothing"]
    assert "Stock is per category: the filters for region and store change nothing" in words(app)
    assert "Stock is per category" not in words(open_page("inventory"))


def test_a_click_on_a_line_opens_its_card(retailer, open_page):
    app = open_page("inventory")
    app.session_state["stock_rows_0"] = {"selection": {"rows": [], "columns": [], "cells": [[1, "Why"]]}}
    app.run()
    assert app.query_params["item"] in ("Electronics", ["Electronics"])
    assert "Electronics" in [header.value.strip("\u2068\u2069") for header in app.header]


def test_the_exports_are_the_list_in_full_numbers(retailer, open_page):
    open_page("inventory")
    frame = retailer.advice(7, ())
    out = stock.export(frame, {"Clothing": "Accepted, local"})
    assert out["Category"].tolist() == frame["product_category"].tolist()
    assert out["Order quantity"].tolist() == frame["order_quantity"].tolist()
    assert out["Money at stake"].tolist()[:2] == frame["money"].tolist()[:2]
    assert out["Decision"].tolist() == ["Accepted, local", "", ""]
    read = pd.read_csv(io.BytesIO(tables.csv(out)))
    assert read["Order by"].iloc[0] == "2026-09-29"
    assert read["Chance of a stock-out %"].iloc[0] == 34.0
    book = pd.read_excel(io.BytesIO(tables.xlsx({"Inventory": out})), sheet_name="Inventory", engine="openpyxl")
    assert book["Reorder point advised"].tolist() == frame["reorder_point"].tolist()


def test_hostile_names_are_inert_on_list_and_card(make_retailer, open_page):
    make_retailer(categories=(HOSTILE, "B"))
    for app in (open_page("inventory"), open_page("inventory", item=HOSTILE)):
        assert not app.exception
        assert not app.error
        for kind in ("header", "markdown", "caption", "warning"):
            for element in app.get(kind):
                assert HOSTILE not in element.value
        for chart in app.get("plotly_chart"):
            assert "<img" not in json.dumps(json.loads(chart.proto.spec))


# --- nothing to show --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [True, False])
def test_without_stock_data_the_page_says_what_to_load_and_why(retailer, open_page, rows):
    retailer.no_stock = True
    if not rows:
        retailer.advice = lambda run, categories: type(retailer).advice(retailer, run, categories).iloc[:0]
    app = open_page("inventory")
    assert not app.exception
    assert not app.metric
    assert "With the daily stock of each category" in words(app)
    assert "python -m trendcast load FOLDER" in app.code[0].value
    assert len(app.get("download_button")) == 3


def test_a_template_loads_as_the_table_it_is_named_after(retailer, open_page):
    from trendcast.services import tables as loaded
    from trendcast.ui import shell

    app = open_page("inventory")
    view = app.session_state["shell_view"]
    assert isinstance(view, shell.View)
    for name, columns in stock.TEMPLATES.items():
        frame = stock.template(name, view)
        assert tuple(frame.columns) == columns
        assert set(columns) <= {column.name for column in loaded.TABLES[name].columns}


def test_a_category_without_stock_has_a_card_that_says_so(retailer, open_page):
    retailer.no_stock = True
    app = open_page("inventory", item="Clothing")
    assert not app.exception
    assert "With the daily stock of each category" in words(app)
    assert "card_accept" not in {button.key for button in app.button}


def test_while_the_database_is_away_the_card_stays_and_decisions_are_off(retailer, open_page):
    from trendcast.ui import reads

    app = open_page("inventory", item="Clothing")
    retailer.away = True
    reads.standing(fresh=True)
    app.run()
    assert not app.exception
    assert "The database does not answer" in app.error[0].value
    assert "Order 420 units of" in words(app)
    assert app.get_by_key("card_accept").disabled


# --- the card ---------------------------------------------------------------------------------------------------------


def test_a_link_opens_the_card_with_everything_about_it(retailer, open_page):
    app = open_page("inventory", item="Clothing")
    assert not app.exception
    said = words(app)
    for part in (
        "34 % chance of a stock-out",
        "Assumed, because nobody gave it:\u2060",
        "held in 94.0\u202f%",
        "GROWTH",
    ):
        assert part.replace(":\u2060", "") in said.replace(":\u2060", "")
    charts = app.get("plotly_chart")
    assert len(charts) == 2
    assert all(len(chart.proto.alt) > 60 for chart in charts)
    figures = app.dataframe[0].value.set_index("What")["How much"]
    assert figures["Safety stock"] == "110"
    assert figures["Chance with the order"] == "4\u202f%"


def test_an_item_nobody_sells_is_said_and_the_list_shown(retailer, open_page):
    app = open_page("inventory", item="Submarines")
    assert not app.exception
    assert "There is no stock advice for" in app.warning[0].value
    assert len(app.dataframe[0].value) == 3


def test_previous_and_next_follow_the_list(retailer, open_page):
    app = open_page("inventory")
    app.get_by_key("stock_start").click().run()
    assert app.get_by_key("card_previous").disabled
    app.get_by_key("card_next").click().run()
    assert app.query_params["item"] in ("Electronics", ["Electronics"])
    app.get_by_key("card_back").click().run()
    assert len(app.dataframe[0].value) == 3


def test_accepting_writes_what_was_advised_and_shows_it_at_once(retailer, open_page):
    app = open_page("inventory", item="Clothing")
    app.get_by_key("card_accept").click().run()
    assert not app.exception
    [asked] = retailer.decisions_asked
    assert (asked["decision"], asked["who"], asked["run_id"], asked["replaces"]) == ("accept", "local", 7, None)
    assert asked["due_on"] == dt.date(2026, 9, 29)
    assert asked["recommendation"]["order_quantity"] == 420.0
    assert asked["recommendation"]["order_by"] == "2026-09-29"
    json.dumps(asked["recommendation"])
    assert "Accepted by" in words(app)
    assert app.dataframe[-1].value["Decision"].tolist() == ["Accepted"]
    app.get_by_key("card_back").click().run()
    assert app.dataframe[0].value["Decision"].tolist() == ["–", "Accepted, local", "–"]


def test_an_accepted_order_is_no_longer_counted_and_comes_after_what_is_open(retailer, open_page):
    app = open_page("inventory")
    assert tiles(app)["Order now"][0] == "1"
    app = open_page("inventory", item="Clothing")
    app.get_by_key("card_accept").click().run()
    app.get_by_key("card_back").click().run()
    assert tiles(app)["Order now"][0] == "0"
    assert app.dataframe[0].value["Status"].tolist() == ["■ Excess", "✓ Decided", "● OK"]
    app.get_by_key("stock_status").set_value(["decided"]).run()
    assert app.dataframe[0].value["Category"].tolist() == ["Clothing"]


def test_a_decision_is_taken_back_with_a_click(retailer, open_page):
    app = open_page("inventory", item="Clothing")
    assert "card_undo" not in {button.key for button in app.button}
    app.get_by_key("card_accept").click().run()
    app.get_by_key("card_undo").click().run()
    assert not app.exception
    last = retailer.decisions_asked[-1]
    assert last["decision"] == "defer"
    assert last["replaces"] is not None
    assert last["reason"] == "Decision taken back"
    assert "Deferred by" in words(app)
    assert "card_undo" not in {button.key for button in app.button}


def test_the_card_says_above_each_chart_what_it_shows(retailer, open_page):
    said = words(open_page("inventory", item="Clothing"))
    assert "short of the safety stock" in said
    assert "Without a new order the shelf" in said or "ahead without a new order" in said


def test_a_change_of_mind_replaces_the_decision_with_quantity_day_and_reason(retailer, open_page):
    app = open_page("inventory", item="Clothing")
    app.get_by_key("card_accept").click().run()
    form = key(retailer, replaces=1)
    app.get_by_key(f"{form}_value").set_value(600)
    app.get_by_key(f"{form}_due").set_value(dt.date(2026, 10, 2))
    app.get_by_key(f"{form}_modify_code").set_value("promotion")
    app.get_by_key(f"{form}_modify_reason").set_value("flyer in week 41")
    app.get_by_key(f"{form}_change_do").click().run()
    asked = retailer.decisions_asked[-1]
    assert (asked["decision"], asked["value"], asked["due_on"]) == ("modify", 600.0, dt.date(2026, 10, 2))
    assert (asked["reason_code"], asked["reason"], asked["replaces"]) == ("promotion", "flyer in week 41", 1)
    assert "Changed to" in words(app)
    assert "600" in words(app)


def test_a_rejection_needs_a_reason(retailer, open_page):
    app = open_page("inventory", item="Clothing")
    app.get_by_key(f"{key(retailer)}_reject_do").click().run()
    assert retailer.decisions_asked == []
    assert "Choose a reason or write one" in words(app)
    app.get_by_key(f"{key(retailer)}_reject_code").set_value("supplier")
    app.get_by_key(f"{key(retailer)}_reject_do").click().run()
    assert retailer.decisions_asked[-1]["decision"] == "reject"
    assert "Choose a reason" not in words(app)


def test_on_an_earlier_day_nothing_is_decided(retailer, open_page):
    app = open_page("inventory", item="Clothing", as_of="2026-09-20")
    assert not app.exception
    assert app.get_by_key("card_accept").disabled


def test_other_parameters_show_their_effect_and_store_nothing(retailer, open_page):
    app = open_page("inventory", item="Clothing")
    asked = []
    plain = retailer.recalculate
    retailer.recalculate = lambda run, category, changes: asked.append(changes) or plain(run, category, changes)
    app.get_by_key("if_7_Clothing_target_service").set_value(99.0)
    app.get_by_key("if_7_Clothing_moq").set_value(500.0)
    app.get_by_key("if_7_Clothing_do").click().run()
    assert not app.exception
    assert asked == [{"target_service": pytest.approx(0.99), "moq": 500.0}]
    effect = next(frame.value for frame in app.dataframe if "Then" in frame.value).set_index("What")
    assert effect.loc["Reorder point"].tolist() == ["450", "490"]
    assert effect.loc["Order quantity"].tolist() == ["420", "500"]
    assert "Aimed at 99.0\u202f%; a reorder point set so would have held in 97.8\u202f%" in words(app)
    assert retailer.decisions_asked == []


def test_an_advice_is_told_in_parts_without_its_tags():
    words = "HIGH VOLATILITY, GROWTH: Order 420 units of USB C. Hubs by Tue 29 Sep. Without it: 34 % chance. Cost 38."
    said = stock.parts(words, ["HIGH VOLATILITY", "GROWTH"])
    assert said[0].startswith("Order 420 units of USB C.")
    assert stock.parts(words) == said
    assert " ".join(said) == words.removeprefix("HIGH VOLATILITY, GROWTH: ")
    row = {"sentence": "GROWTH: Order 4 of A now. Without it: 5 % chance. Cost 1. More.", "tags": ["GROWTH"]}
    assert stock.why(row | {"status": "order_now"}) == "Without it: 5 % chance. Cost 1."
    assert stock.why(row | {"status": "ok"}) == "Order 4 of A now. Without it: 5 % chance."


@pytest.mark.parametrize(
    ("chance", "words"), [(0.0, "under 1\u202f%"), (1.0, "over 99\u202f%"), (0.34, "34\u202f%"), (np.nan, "–")]
)
def test_nobody_is_sure_of_a_stock_out(chance, words):
    assert stock_card.written(chance, "chance") == words


# --- the charts -------------------------------------------------------------------------------------------------------


def test_the_gauge_stacks_safety_and_order_and_points_at_both_stocks():
    figure, alt = charts_stock.gauge_chart(now=510, ahead=90, safety=110, quantity=400, lead_time_days=9, dark=False)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [bar.x[0] for bar in bars] == [110, 400]
    assert [trace.x[0] for trace in figure.data if trace.type == "scatter"] == [510, 90]
    assert "The lower one, one lead time ahead, is below the safety stock" in alt


def test_the_projection_holds_the_frames_figures(retailer):
    weeks = retailer.projection(7, "Clothing")
    history = retailer.stock_history(retailer.run_info, "Clothing", 182)
    figure, alt = charts_stock.projection_chart(weeks, history, reorder_point=450.0, measure="Units", dark=True)
    by_name = {trace.name: trace for trace in figure.data if trace.name}
    assert list(by_name["Expected stock"].y)[1:] == weeks["q50"].tolist()
    assert list(by_name["With the advised order"].y)[1:] == weeks["ordered_q50"].tolist()
    assert list(by_name["80\u202f% band"].y)[1:] == weeks["q90"].tolist()
    assert list(by_name["Stock"].y) == history["stock_level"].tolist()
    assert by_name["Expected stock"].y[0] == history["stock_level"].iloc[-1]
    assert by_name["Expected stock"].line.dash == "dash"
    assert by_name["Stock"].line.dash == "solid"
    assert sum(by_name["Received"].y) == history["receipts"].sum()
    assert list(by_name["On order"].y) == [120.0]
    # Stock at the end of a week stands on its Sunday.
    assert all(pd.Timestamp(day).day_of_week == 6 for day in list(by_name["Expected stock"].x)[1:])
    assert "below the advised reorder point in the week of" in alt


def test_a_projection_without_history_or_reorder_point_is_drawn(retailer):
    weeks = retailer.projection(7, "Clothing")
    empty = retailer.stock_history(retailer.run_info, "Clothing", 182).iloc[:0]
    figure, alt = charts_stock.projection_chart(weeks, empty, reorder_point=np.nan, measure="Units", dark=False)
    assert {"Expected stock", "95\u202f% band"} <= {trace.name for trace in figure.data}
    assert "12\u202fweeks" in alt
