"""The Accuracy page: what to trust, where not, what was published beside what happened, and its honest gaps."""

from __future__ import annotations

import json

import pandas as pd
import pytest

pytestmark = pytest.mark.usefixtures("retailer")


def words(app) -> str:
    kinds = ("header", "subheader", "markdown", "caption", "warning", "error")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind)).replace("\\", "")


def table(app, column: str) -> pd.DataFrame:
    """The first table with this column."""
    return next(frame.value for frame in app.dataframe if column in frame.value)


def test_the_finding_says_what_to_trust_where_not_and_what_to_do(open_page):
    app = open_page("accuracy")
    assert not app.exception
    assert not app.error
    said = words(app)
    assert "At total level the forecast is off by" in said
    assert "less than last year's sales would be" in said
    assert "series leans" in said
    assert "take the low end of the band" in said
    board = table(app, "Better than the best naive").set_index("Model")
    assert next(iter(board.index)) == "TrendCast"
    assert board.loc["TrendCast", "Better than the best naive"].replace("\u202f", " ") == "+32 %"  # 1 - 0.081 / 0.119
    assert board.loc["Same day last year × growth", "Better than the best naive"].startswith("0")


def test_the_triangle_has_a_green_row_of_actuals_and_a_row_per_monday(retailer, open_page):
    app = open_page("accuracy", level="category", category="Clothing")
    shown = table(app, "Forecast before").set_index("Forecast before")
    assert list(shown.index)[:2] == ["Sold", "28 Sep 2026"]
    assert shown.loc["Sold"].ne("").sum() == 8
    styled = next(frame for frame in app.dataframe if "Forecast before" in frame.value)
    assert "DCFCE7" in str(styled.proto)
    expected = retailer.triangle(retailer.run_info, [8]).set_index(["made", "lag_weeks"])["mean"]
    assert shown.loc["21 Sep 2026", "2026-09-21"].replace("\u202f", "")[:3] == f"{expected.iloc[-26]:,.0f}"[:3]


def test_before_a_published_week_is_over_it_says_from_when_there_will_be_a_triangle(retailer, open_page):
    retailer.published_weeks = 0
    app = open_page("accuracy")
    assert not app.exception
    assert "when the data reach Sun 4 Oct 2026" in words(app)


def test_charts_have_the_naives_beside_ours_and_what_they_say_in_words(open_page):
    app = open_page("accuracy")
    charts = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    assert len(charts) == 3  # staircase, horizon, bands
    names = {trace.get("name") for trace in charts[1]["data"]}
    assert {"TrendCast", "As published"} <= {str(name).strip("\u2068\u2069") for name in names}
    assert len(names) >= 5
    assert all(chart.proto.alt for chart in app.get("plotly_chart"))


def test_names_of_the_bar_narrow_who_is_listed(open_page):
    app = open_page("accuracy", level="category", category="Home & Garden")
    assert "No series leans to one side" in words(app)


def test_a_selection_is_judged_by_its_own_backtest(retailer, open_page):
    plain = retailer.series_accuracy
    own = {"combination": 0.398, "naive7": 0.5, "naive364": 0.3}
    retailer.series_accuracy = lambda run, ids: plain(run, ids) | {"wape": own}
    said = words(open_page("accuracy", level="category", category="Clothing"))
    assert "the forecast is off by 39.8" in said
    assert "plan with it" not in said
    assert "All series at category level together." in said
    assert "At category level the forecast is off by" in words(open_page("accuracy", level="category"))


def test_without_a_backtest_each_part_says_so(retailer, open_page, monkeypatch):
    columns = list(retailer.accuracy(7, "total").columns)
    monkeypatch.setattr(retailer, "accuracy", lambda run, level: pd.DataFrame(columns=columns))
    monkeypatch.setattr(retailer, "segments", lambda run, ids: pd.DataFrame(columns=["wape"]))
    monkeypatch.setattr(retailer, "published_errors", lambda *_: pd.DataFrame(columns=["lag_weeks", "wape", "n"]))
    app = open_page("accuracy")
    assert not app.exception
    assert not app.error
    assert "still to come" in words(app)


def test_the_page_follows_the_number_format(open_page, monkeypatch):
    from trendcast import wording

    monkeypatch.setenv("TRENDCAST_NUMBER_FORMAT", "1.234,5")
    wording.forget()
    app = open_page("accuracy")
    monkeypatch.undo()
    wording.forget()
    assert any("," in str(metric.value) for metric in app.metric)
    assert not any("." in str(metric.value) for metric in app.metric)
    assert all(json.loads(c.proto.spec)["layout"]["separators"] == ",." for c in app.get("plotly_chart"))
