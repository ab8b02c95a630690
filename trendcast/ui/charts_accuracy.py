"""Charts of accuracy: pure builders from frames to (figure, sentence for readers who cannot see it)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from trendcast.services.accuracy import NAIVES, Step
from trendcast.services.forecast import COMBINATION
from trendcast.ui import text
from trendcast.ui.figure import Figure, bar, scatter
from trendcast.ui.plots import Palette, axis_title, dress, legend, palette

RIVALS = 2  # single models drawn beside ours and the naives: the best ones


def _layout(figure: Figure, colours: Palette, height: int, title: str, below: str = "") -> None:
    dress(figure, colours, height, (8, 16, 12, 8), legend=legend(-0.2))
    figure.update_xaxes(title=axis_title(below, colours) if below else None, automargin=True)
    figure.update_yaxes(title=axis_title(title, colours) if title else None)


def horizon_chart(figures: pd.DataFrame, published: pd.DataFrame, *, error: str, dark: bool) -> tuple[Figure, str]:
    """Error by weeks ahead: ours dashed blue, the best single models, the naives grey; dots: what was published.

    ``figures``: services.forecast.accuracy of a level; ``error``: its column; ``published``: services.accuracy.by_lag.
    """
    colours = palette(dark)
    figure = Figure()
    whole = figures[figures["horizon_week"] == 0].drop_duplicates("model").set_index("model")[error].dropna()
    others = [name for name in whole.sort_values().index if name != COMBINATION and name not in NAIVES][:RIVALS]
    marks = {COMBINATION: (colours.forecast, "dash", 3.0)}
    marks |= {name: (colours.look, dash, 1.6) for name, dash in zip(others, ("dashdot", "dot"), strict=False)}
    marks |= {name: (colours.tag, dash, 1.6) for name, dash in zip(NAIVES, ("solid", "longdash"), strict=True)}
    said = []
    for name, (colour, dash, width) in marks.items():
        one = figures[(figures["model"] == name) & (figures["horizon_week"] > 0)].sort_values("horizon_week")
        one = one[one[error].notna()]
        if one.empty:
            continue
        label = text.plotly(text.member(name))
        figure.add_trace(
            scatter(
                x=one["horizon_week"],
                y=one[error],
                name=label,
                mode="lines",
                line={"color": colour, "dash": dash, "width": width},
                customdata=[text.percent(v) for v in one[error]],
                hovertemplate=f"{label} %{{customdata}}<extra></extra>",
            )
        )
        said.append(f"{text.member(name)} {text.percent(one[error].iloc[0])} to {text.percent(one[error].iloc[-1])}")
    if len(published):
        figure.add_trace(
            scatter(
                x=published["lag_weeks"],
                y=published["wape"],
                name="As published",
                mode="markers",
                marker={"color": colours.edited, "size": 9, "symbol": "circle"},
                customdata=[
                    f"{text.percent(row.wape)}, {text.count(int(row.n), 'forecast')}" for row in published.itertuples()
                ],
                hovertemplate="As published %{customdata}<extra></extra>",
            )
        )
        said.append(f"as published {text.percent(published['wape'].iloc[0])} one week ahead")
    _layout(figure, colours, 340, "Error, share of sales", "Weeks ahead")
    figure.update_yaxes(rangemode="tozero", tickformat=",.0%")
    figure.update_xaxes(dtick=1, hoverformat="d")
    return figure, "Line chart of the error by weeks ahead: " + "; ".join(said) + "."


def coverage_chart(held: pd.DataFrame, *, dark: bool) -> tuple[Figure, str]:
    """How often the bands held by weeks ahead, beside what they promise. ``held``: services.accuracy.coverage of one
    level and kind (days or weeks)."""
    colours = palette(dark)
    figure = Figure()
    said = []
    by_week = held[held["horizon_week"] > 0]
    for nominal, dash, symbol in ((0.95, "dot", "square"), (0.8, "solid", "circle")):
        one = by_week[by_week["nominal"] == nominal].sort_values("horizon_week")
        if one.empty:
            continue
        name = f"{text.percent(nominal, 0)} band held"
        figure.add_hline(y=nominal, line={"color": colours.tag, "width": 1.2, "dash": "dash"})
        figure.add_trace(
            scatter(
                x=one["horizon_week"],
                y=one["share"],
                name=name,
                mode="lines+markers",
                line={"color": colours.forecast, "dash": dash, "width": 2},
                marker={"symbol": symbol, "size": 7},
                customdata=[f"{text.percent(row.share)} of {text.full(row.n)}" for row in one.itertuples()],
                hovertemplate=name + " %{customdata}<extra></extra>",
            )
        )
        said.append(f"{name} {text.percent(one['share'].min())} to {text.percent(one['share'].max())}")
    low = float(by_week["share"].min()) if len(by_week) else 0.5
    _layout(figure, colours, 320, "Actuals inside the band", "Weeks ahead")
    figure.update_yaxes(range=[min(0.5, low - 0.05), 1.02], tickformat=",.0%")
    figure.update_xaxes(dtick=1, hoverformat="d")
    return figure, "Line chart of how often the bands held by weeks ahead: " + "; ".join(said) + "."


def staircase_chart(steps: Sequence[Step], *, dark: bool) -> tuple[Figure, str]:
    """From what anybody could forecast to what is used: a bar per step, the gain behind it."""
    colours = palette(dark)
    figure = Figure()
    labels = [text.plotly(text.member(step.name)) for step in steps]
    fills = [
        colours.forecast if step.name == COMBINATION else colours.last_year if step.name in NAIVES else colours.look
        for step in steps
    ]
    gains = ["" if step.gain is None else f" ({_gain(step.gain)})" for step in steps]
    figure.add_trace(
        bar(
            y=labels,
            x=[step.wape for step in steps],
            orientation="h",
            marker={"color": fills},
            text=[text.percent(step.wape) + gain for step, gain in zip(steps, gains, strict=True)],
            textposition="outside",  # on the page's own colour: a figure in a grey bar is hard to read
            textfont={"color": colours.ink},
            cliponaxis=False,
            hoverinfo="skip",
            width=0.6,
        )
    )
    _layout(figure, colours, 70 + 46 * len(steps), "")
    figure.update_layout(hovermode=False, showlegend=False)
    figure.update_xaxes(visible=False, range=[0, 1.5 * max((step.wape for step in steps), default=1.0)])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    words = [f"{text.member(step.name)} {text.percent(step.wape)}" for step in steps]
    return figure, "Bars of the error, from the naive forecasts to ours: " + ", ".join(words) + "."


def _gain(gain: float) -> str:
    if abs(gain) < 0.005:
        return "as much"
    return f"{text.percent(abs(gain), 0)} {'less' if gain > 0 else 'more'}"
