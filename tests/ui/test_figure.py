"""Figures that skip Plotly's checks: the browser gets what Plotly's own figure would have given it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
import pytest
from plotly.subplots import make_subplots
from plotly.tools import return_figure_from_figure_or_data

from trendcast.ui.figure import Figure, bar, scatter

DAYS = pd.Series(pd.date_range("2026-03-02", periods=4))
UNITS = pd.Series([3.0, np.nan, 5.5, 1e6])
LINE = {"color": "#111111", "width": 1}


def sent(figure) -> dict:
    """What Streamlit sends of a figure."""
    return json.loads(pio.to_json(return_figure_from_figure_or_data(figure, validate_figure=True), validate=False))


def read(figure) -> go.Figure:
    """What was sent, as Plotly reads it."""
    return go.Figure(sent(figure))


def test_panels_lie_where_plotly_lays_them():
    ours = read(Figure(scatter(y=[1]), heights=[3, 1, 1], spacing=0.05)).layout
    plotly = make_subplots(3, 1, shared_xaxes=True, vertical_spacing=0.05, row_heights=[3, 1, 1]).layout
    for n in ("", "2", "3"):
        assert ours[f"yaxis{n}"].domain == pytest.approx(plotly[f"yaxis{n}"].domain, abs=1e-6)
        for name in ("anchor", "matches", "showticklabels"):
            assert ours[f"xaxis{n}"][name] == plotly[f"xaxis{n}"][name]


def test_marks_and_spans_are_those_of_plotly():
    ours, plotly = Figure(heights=[1, 1]), make_subplots(2, 1, shared_xaxes=True, vertical_spacing=0)
    steps = {"x": DAYS, "y": UNITS, "name": "A", "marker": {"color": ["red"] * 4, "opacity": None}}
    dots = {"x": DAYS, "y": [1, 2, None, 4], "customdata": list("abcd"), "mode": "markers"}
    ours.add_trace(bar(**steps))
    ours.add_trace(scatter(**dots), row=2)
    plotly.add_trace(go.Bar(**steps), row=1, col=1)
    plotly.add_trace(go.Scatter(**dots), row=2, col=1)
    for figure in (ours, plotly):
        figure.update_layout(legend={"y": 1, "x": 0}, height=300)
        figure.update_layout(legend={"y": -0.1})
        figure.update_yaxes(tickformat="~s", nticks=4)
        figure.update_yaxes(nticks=None)
        figure.add_vrect(x0=DAYS[1], x1=DAYS[2] + pd.Timedelta(12, "h"), fillcolor="red", line={"width": 0})
    ours.add_vline(DAYS[2], line=LINE)
    plotly.add_vline(DAYS[2], line=LINE, row=1, col=1)
    found, expected = sent(ours), sent(plotly)
    for trace in expected["data"]:
        trace["x"] = [moment[:10] for moment in trace["x"]]
    assert found["data"] == expected["data"]
    for name in ("legend", "height", "template", "shapes"):
        assert found["layout"][name] == expected["layout"][name], name
    assert found["layout"]["yaxis"].items() >= {"tickformat": "~s"}.items()
    assert "nticks" not in found["layout"]["yaxis"]


def test_a_line_across_is_that_of_plotly():
    ours, plotly = Figure(scatter(y=[1, 2])), go.Figure(go.Scatter(y=[1, 2]))
    for figure in (ours, plotly):
        figure.add_hline(y=1.5, line=LINE)
    assert sent(ours)["layout"]["shapes"] == sent(plotly)["layout"]["shapes"]


def test_what_is_no_number_is_a_gap_and_whole_days_have_no_time():
    whole, part = Figure(scatter(x=DAYS, y=[1.0, np.nan])), Figure(scatter(x=DAYS + pd.Timedelta(6, "h")))
    assert sent(whole)["data"][0]["y"] == [1.0, None]
    assert sent(whole)["data"][0]["x"][0] == "2026-03-02"
    assert sent(part)["data"][0]["x"][0] == "2026-03-02T06:00:00"


def test_a_name_that_plotly_does_not_know_is_found_by_whoever_looks():
    with pytest.raises(ValueError, match="colour"):
        Figure(scatter(y=[1], line={"colour": "red"})).checked()
    with pytest.raises(TypeError, match="cannot hold"):
        Figure(scatter(y=[1], name=object())).to_dict()


def test_a_figure_that_is_changed_after_it_was_drawn_is_made_again():
    figure = Figure(scatter(y=[1]))
    first = figure.to_dict()
    assert figure.to_dict() is first
    figure.update_yaxes(nticks=3)
    assert sent(figure)["layout"]["yaxis"] == {"nticks": 3}
