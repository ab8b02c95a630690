"""Charts of the anomaly inbox: pure builders from frames to (figure, sentence for readers who cannot see it)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from trendcast.ui import text
from trendcast.ui.figure import Figure, bar, scatter
from trendcast.ui.plots import Palette, band, dress, legend, over_time, palette, volumes

MOST_BARS = 12
MANY_PARTS = 40  # more parts than these are summed where no few of them hold half
SYMBOLS = {"HIGH": ("diamond", 14), "MEDIUM": ("diamond", 9), "LOW": ("diamond-open", 8)}
WINDOW = "rgba(217,119,6,0.14)"


def layout(figure: Figure, colours: Palette, title: str, height: int) -> None:
    """What the charts of one panel have in common: volumes from zero over days, unit in the axis title."""
    dress(figure, colours, height, (8, 34, 22, 8), bargap=0.25, legend=legend(-0.2))
    over_time(figure)
    volumes(figure, colours, title)


def incident_chart(
    days: pd.DataFrame,
    marks: pd.DataFrame,
    *,
    first: Any,
    last: Any,
    measure: str,
    dark: bool,
    strips: pd.DataFrame | None = None,
) -> tuple[Figure, str]:
    """Sales of one series around an incident, with what was expected of each day and the incident's days highlighted.

    ``days``: date, actual, expected, low80, high80, low95, high95 (NaN: not known); ``marks``: date, actual, impact,
    of the days that stood out; ``measure``: the axis title; ``strips``: date, promotion (share), events (names), closed
    (share), stockout: what else was on those days, a lane each below.
    """
    colours = palette(dark)
    lanes = [] if strips is None else _lanes(strips)
    part = 0.085 * len(lanes)
    figure = Figure(heights=[1 - part, part], spacing=0.02) if lanes else Figure()
    days = days.sort_values("date")
    half = pd.Timedelta(12, "h")
    start, end = pd.Timestamp(first) - half, pd.Timestamp(last) + half
    figure.add_vrect(x0=start, x1=end, fillcolor=WINDOW, line={"width": 0}, layer="below")
    figure.add_annotation(
        x=start + (end - start) / 2,
        y=1.02,
        yref="paper",
        yanchor="bottom",
        text="This incident",
        showarrow=False,
        font={"size": 11, "color": colours.ink},
    )
    for low, high, share, colour in (
        ("low95", "high95", "95", colours.band95),
        ("low80", "high80", "80", colours.band80),
    ):
        band(figure, days, low, high, colour, f"Usual range {share}{text.NARROW}%")
    expected = days[days["expected"].notna()]
    if len(expected):
        figure.add_trace(
            scatter(
                x=expected["date"],
                y=expected["expected"],
                name="Expected",
                mode="lines",
                line={"color": colours.forecast, "width": 1.8, "dash": "dash"},
                customdata=[_expected_words(row) for row in expected.itertuples()],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    figure.add_trace(
        scatter(
            x=days["date"],
            y=days["actual"],
            name="Actual",
            mode="lines",
            line={"color": colours.actual, "width": 2},
            connectgaps=False,
            customdata=[text.full(v) for v in days["actual"]],
            hovertemplate="<b>Actual %{customdata}</b><extra></extra>",
        )
    )
    marks = marks[marks["actual"].notna()]
    for impact, (symbol, size) in SYMBOLS.items():
        rows = marks[marks["impact"] == impact]
        if len(rows):
            figure.add_trace(
                scatter(
                    x=rows["date"],
                    y=rows["actual"],
                    mode="markers",
                    name=f"Unusual, {impact.lower()} impact",
                    marker={
                        "symbol": symbol,
                        "size": size,
                        "color": colours.bad if impact == "HIGH" else colours.edited,
                        "line": {"width": 1.5, "color": colours.bad if impact == "HIGH" else colours.edited},
                    },
                    hoverinfo="skip",
                )
            )
    layout(figure, colours, measure, 340 + 24 * len(lanes))
    if lanes:
        _strips(figure, lanes, days["date"], colours)
    return figure, _describe(days, marks, first, last, measure) + _said(lanes)


Lane = tuple[str, str, pd.Series, list[str]]  # label, symbol, days, what to say of each
MOST_SAID = 3


def _lanes(strips: pd.DataFrame) -> list[Lane]:
    """Promotions, events and stock, with or without a day of them; closed days where there were any."""
    promotion, events = strips["promotion"].fillna(0) > 0.04, strips["events"].fillna("").astype(str) != ""
    closed, empty = strips["closed"].fillna(0) > 0, strips["stockout"].fillna(0).astype(float) > 0
    dates = strips["date"]
    lanes: list[Lane] = [
        (
            "Promotion",
            "square",
            dates[promotion],
            [f"{text.percent(v, 0)} of sales places" for v in strips.loc[promotion, "promotion"]],
        ),
        ("Event", "star", dates[events], [text.plotly(v, 90) for v in strips.loc[events, "events"]]),
        ("Stock-out", "x", dates[empty], ["the shelf was empty"] * int(empty.sum())),
    ]
    if closed.any():
        lanes.append(("Closed", "line-ew-open", dates[closed], ["closed"] * int(closed.sum())))
    return lanes


def _strips(figure: Figure, lanes: Sequence[Lane], dates: pd.Series, colours: Palette) -> None:
    """The lanes below the days, each on its line, also where nothing is on it."""
    for place, (label, symbol, days, hover) in enumerate(lanes):
        figure.add_trace(
            scatter(
                x=days,
                y=[len(lanes) - 1 - place] * len(days),
                mode="markers",
                name=label,
                marker={"symbol": symbol, "size": 8, "color": colours.tag, "line": {"width": 1, "color": colours.tag}},
                customdata=hover,
                hovertemplate=f"{label}: %{{customdata}}<extra></extra>",
                showlegend=False,
            ),
            row=2,
        )
    figure.update_yaxes(
        tickvals=list(range(len(lanes)))[::-1],
        ticktext=[lane[0] for lane in lanes],
        range=[-0.6, len(lanes) - 0.4],
        title=None,
        tickformat=None,
        rangemode="normal",
        showgrid=False,
        zeroline=False,
        tickfont={"size": 11},
        row=2,
    )
    figure.update_xaxes(range=[dates.min() - pd.Timedelta(12, "h"), dates.max() + pd.Timedelta(12, "h")])


def _said(lanes: Sequence[Lane]) -> str:
    """What the lanes show, for readers who cannot see them."""
    if not lanes:
        return ""
    said = []
    for label, _, days, _ in lanes:
        shown = ", ".join(text.day_short(day) for day in list(days)[:MOST_SAID])
        more = f" and {text.full(len(days) - MOST_SAID)} more" if len(days) > MOST_SAID else ""
        said.append(f"{label}: {shown}{more}" if len(days) else f"{label}: none")
    return " " + "; ".join(said) + "."


def _expected_words(row: Any) -> str:
    words = f"Expected {text.full(row.expected)}"
    for low, high, share in ((row.low80, row.high80, "80"), (row.low95, row.high95, "95")):
        if np.isfinite(low) and np.isfinite(high):
            words += f"<br>{share}{text.NARROW}%: {text.full(low)} to {text.full(high)}"
    return words


def _describe(days: pd.DataFrame, marks: pd.DataFrame, first: Any, last: Any, measure: str) -> str:
    span = text.day(first) if first == last else f"{text.day(first)} to {text.day(last)}"
    words = f"Line chart of {measure[:1].lower() + measure[1:]} with the usual range. The incident: {span}."
    for row in marks.sort_values("date").head(5).itertuples():
        expected = days.loc[days["date"] == row.date, "expected"]
        beside = f", expected {text.short(expected.iloc[0])}" if len(expected) and expected.notna().any() else ""
        words += f" {text.day_short(row.date)}: {text.short(row.actual)}{beside}."
    return words


def contributions(members: pd.DataFrame, node: Sequence[str]) -> pd.DataFrame:
    """name, gap (units more or less than expected over the days that stood out), share: the members' parts of the
    incident, largest first, closed with what is left, so that they add up to the incident's own gap.

    ``members``: of services.incidents (key columns, direction, loss_units, actual, expected); ``node``: level,
    category, region, store of the incident itself, whose row, where there is one, is what the parts must add up to.
    """
    keys = ["level", "product_category", "region", "store"]
    sign = members["direction"].where(members["direction"] != 0, np.sign(members["actual"] - members["expected"]))
    gaps = (sign * members["loss_units"]).astype("float64")
    own = (members[keys] == list(node)).all(axis=1) & gaps.notna()
    parts = ~own & gaps.notna()
    if not parts.any():
        return pd.DataFrame(columns=["name", "gap", "share"])
    total = float(gaps[own if own.any() else parts].sum())
    places = members.loc[parts, keys[1:]]
    named = gaps[parts].groupby([places[key] for key in keys[1:]]).sum()
    if len(named) > MANY_PARTS and named.abs().nlargest(MOST_BARS).sum() < 0.5 * named.abs().sum():
        # Many small series say nothing one by one: those of a region, or else of a category, together do.
        for kept in ("region", "product_category"):
            if 1 < places[kept].nunique() <= MANY_PARTS:
                places = places.assign(**{key: "" for key in keys[1:] if key != kept})
                named = gaps[parts].groupby([places[key] for key in keys[1:]]).sum()
                break
    named = named.reindex(named.abs().sort_values(ascending=False).index)
    rows = [(place(*key), float(gap)) for key, gap in named.head(MOST_BARS).items()]
    rest, more = total - sum(gap for _, gap in rows), len(named) - len(rows)
    if abs(rest) > 0.005 * max(abs(total), 1.0):
        rows.append((f"{text.count(more, 'smaller part')} and the rest" if more else "Everything else", rest))
    frame = pd.DataFrame(rows, columns=["name", "gap"])
    frame["share"] = frame["gap"] / total if total else np.nan
    return frame


def place(category: str, region: str, store: str) -> str:
    """A series by its names, on one line: 'Toys · North · S0001'."""
    return " · ".join(text.plain(name) for name in (category, region, store) if name) or "All categories"


def contributions_chart(parts: pd.DataFrame, *, measure: str, dark: bool) -> tuple[Figure, str]:
    """Horizontal bars around zero that add up to the incident: ``parts`` of ``contributions``."""
    colours = palette(dark)
    rows = parts.iloc[::-1]
    figure = Figure(
        bar(
            x=rows["gap"],
            y=[text.plotly(name, 34) for name in rows["name"]],
            orientation="h",
            marker={"color": [colours.forecast if gap >= 0 else colours.bad for gap in rows["gap"]]},
            text=[
                f"{text.short(gap, sign=True)} ({text.percent(share, 0)})" if np.isfinite(share) else text.short(gap)
                for gap, share in zip(rows["gap"], rows["share"], strict=True)
            ],
            textposition="outside",
            textfont={"size": 12, "color": colours.ink},
            cliponaxis=False,
            customdata=[text.full(gap) for gap in rows["gap"]],
            hovertemplate="%{y}: %{customdata}<extra></extra>",
            showlegend=False,
        )
    )
    height = 60 + 30 * len(rows)
    dress(figure, colours, height, (8, 34, 22, 8), bargap=0.25, legend=legend(-0.2), hovermode="closest")
    figure.update_yaxes(showgrid=False)
    figure.update_xaxes(
        tickformat="~s",
        zeroline=True,
        zerolinecolor=colours.tag,
        title={"text": measure, "font": {"size": 12, "color": colours.ink}},
        nticks=5,
        range=_room(parts["gap"]),
    )
    total = float(parts["gap"].sum())
    named = [f"{row.name} {text.short(row.gap, sign=True)}" for row in parts.head(3).itertuples(index=False)]
    return figure, f"Bars that add up to {text.short(total, sign=True)}: {', '.join(named)}."


def _room(gaps: pd.Series) -> list[float]:
    """The axis around zero with room for the words beyond the bars."""
    low, high = min(0.0, float(gaps.min())), max(0.0, float(gaps.max()))
    pad = 0.6 * max(high - low, 1e-9)
    return [low - pad * (low < 0), high + pad * (high > 0)]


def comparison_chart(
    days: pd.DataFrame, ours: Sequence[Any], plain: Sequence[Any], *, measure: str, dark: bool
) -> tuple[Figure, str]:
    """The days two rules flag on the same series. ``days``: date, actual; ``ours``, ``plain``: the days flagged."""
    colours = palette(dark)
    figure = Figure(
        scatter(
            x=days["date"],
            y=days["actual"],
            name="Actual",
            mode="lines",
            line={"color": colours.actual, "width": 1.5},
            customdata=[text.full(v) for v in days["actual"]],
            hovertemplate="<b>Actual %{customdata}</b><extra></extra>",
        )
    )
    for label, flagged, symbol, size, colour in (
        ("Plain rule", plain, "circle-open", 13, colours.look),
        ("TrendCast", ours, "diamond", 9, colours.bad),
    ):
        rows = days[days["date"].isin(list(flagged)) & days["actual"].notna()]
        figure.add_trace(
            scatter(
                x=rows["date"],
                y=rows["actual"],
                mode="markers",
                name=f"{label}: {text.count(len(rows), 'day')}",
                marker={"symbol": symbol, "size": size, "color": colour, "line": {"width": 2, "color": colour}},
                hovertemplate=label + "<extra></extra>",
            )
        )
    layout(figure, colours, measure, 300)
    both = len(set(ours) & set(plain))
    return figure, (
        f"Line chart of {text.count(len(days), 'day')}. The plain rule flags {text.count(len(set(plain)), 'day')}, "
        f"TrendCast {text.count(len(set(ours)), 'day')}, both the same {both}."
    )
