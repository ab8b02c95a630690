"""Charts of stock: pure builders from frames to (figure, sentence for readers who cannot see it)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from trendcast.ui import text
from trendcast.ui.charts_inbox import layout
from trendcast.ui.figure import Figure, bar, scatter
from trendcast.ui.plots import band, dress, palette


def gauge_chart(
    *,
    now: float,
    ahead: float,
    safety: float,
    quantity: float,
    lead_time_days: float,
    lot: str = "usual order",
    dark: bool,
) -> tuple[Figure, str]:
    """A bar from nothing over the safety stock to safety stock plus reorder quantity, with two arrows: stock now and
    stock one lead time ahead: the lower of the two counts. ``quantity``: of a ``lot``."""
    colours = palette(dark)
    figure = Figure()
    for name, value, colour, pattern in (
        ("Safety stock", safety, colours.edited, "/"),
        (lot.capitalize(), quantity, colours.forecast, ""),
    ):
        figure.add_trace(
            bar(
                x=[max(0.0, value)],
                y=[""],
                orientation="h",
                name=f"{name} {text.full(value)}",
                marker={
                    "color": colour,
                    "opacity": 0.45,
                    "pattern": {"shape": pattern, "fgcolor": colours.ink, "size": 6, "solidity": 0.25},
                },
                customdata=[text.full(value)],
                hovertemplate=name + " %{customdata}<extra></extra>",
            )
        )
    reach = max(now, ahead, safety + quantity, 1.0)
    points = [("Stock now", now, 1.0, "down"), (_ahead(lead_time_days), ahead, -1.0, "up")]
    for name, value, side, direction in points:
        figure.add_trace(
            scatter(
                x=[value],
                y=[""],
                mode="markers",
                name=f"{name} {text.full(value)}",
                marker={
                    "symbol": f"triangle-{direction}",
                    "size": 16,
                    "color": colours.actual if side > 0 else colours.forecast,
                    "line": {"width": 1, "color": colours.ink},
                },
                customdata=[text.full(value)],
                hovertemplate=name + " %{customdata}<extra></extra>",
            )
        )
        figure.add_annotation(
            x=value,
            y=0,
            yshift=40 * side,
            text=f"{'now' if side > 0 else 'ahead'} {text.short(value)}",
            showarrow=False,
            # A label at an end of the axis stays inside the chart.
            xanchor="left" if value < 0.1 * reach else "right" if value > 0.9 * reach else "center",
            font={"size": 12, "color": colours.ink},
        )
    dress(
        figure,
        colours,
        210,
        (8, 34, 22, 8),
        barmode="stack",
        hovermode="closest",
        bargap=0.45,
        # Below the labels of the axis, also where a narrow screen stacks the entries.
        legend={"orientation": "h", "yref": "container", "y": 0, "x": 0, "xanchor": "left", "yanchor": "bottom",
                "title": None},
    )  # fmt: skip
    figure.update_yaxes(showticklabels=False, showgrid=False)
    low, high = min(0.0, now, ahead), reach
    figure.update_xaxes(range=[low * 1.08, high * 1.08], tickformat="~s", nticks=6)
    lower = "now" if now <= ahead else "one lead time ahead"
    place = (
        "below the safety stock"
        if min(now, ahead) < safety
        else "above safety stock plus reorder quantity"
        if min(now, ahead) > safety + quantity
        else "between safety stock and reorder quantity"
    )
    return figure, (
        f"Bar of safety stock {text.short(safety)} and reorder quantity {text.short(quantity)}. Stock now "
        f"{text.short(now)}, {_ahead(lead_time_days).lower()} {text.short(ahead)}. The lower one, {lower}, is {place}."
    )


def _ahead(days: float) -> str:
    return f"Stock in {text.count(round(days), 'day')}" if np.isfinite(days) else "Stock one lead time ahead"


def projection_chart(
    weeks: pd.DataFrame, history: pd.DataFrame, *, reorder_point: float, measure: str, dark: bool
) -> tuple[Figure, str]:
    """Stock as it was and as it is expected, per week, over the receipts on order as bars.

    ``weeks``: services.recommend.projection (the stock at the end of each week, named by its Monday); ``history``:
    date_id, stock_level, reorder_point, stockout, receipts per day; ``reorder_point``: the one advised.
    """
    colours = palette(dark)
    figure = Figure(heights=[0.8, 0.2], spacing=0.05)
    weeks = weeks.assign(date=pd.to_datetime(weeks["week"]) + pd.Timedelta(6, "D"))
    past = history.assign(date=pd.to_datetime(history["date_id"])) if len(history) else history
    if len(past):
        last = past.iloc[[-1]]
        joint = dict.fromkeys(("q025", "q10", "q50", "q90", "q975", "ordered_q50"), last["stock_level"].iloc[0])
        start = pd.DataFrame([{"date": last["date"].iloc[0], "receipts": np.nan, **joint}])
        ahead = pd.concat([start, weeks], ignore_index=True) if np.isfinite(joint["q50"]) else weeks
    else:
        ahead = weeks
    for low, high, share, colour in (
        ("q025", "q975", "95", colours.band95),
        ("q10", "q90", "80", colours.band80),
    ):
        band(figure, ahead, low, high, colour, f"{share}{text.NARROW}% band")
    if len(past):
        _stockouts(figure, past, colours)
        for column, name, width, shape, colour in (
            ("reorder_point", "Your reorder point", 1.4, "hv", colours.look),
            ("stock_level", "Stock", 2.0, "linear", colours.actual),
        ):
            if past[column].notna().any():
                _line(figure, past["date"], past[column], name, colour, width, "solid", shape)
    if np.isfinite(reorder_point):
        ends = [weeks["date"].iloc[0] - pd.Timedelta(6, "D"), weeks["date"].iloc[-1]]
        _line(figure, ends, [reorder_point] * 2, "Advised reorder point", colours.edited, 1.6, "dot")
    if (ahead["ordered_q50"] - ahead["q50"]).abs().max() > 1e-9:
        _line(figure, ahead["date"], ahead["ordered_q50"], "With the advised order", colours.good, 2.0, "dashdot")
    _line(figure, ahead["date"], ahead["q50"], "Expected stock", colours.forecast, 2.2, "dash")
    _receipts(figure, weeks, past, colours)
    layout(figure, colours, measure, 420)
    figure.update_layout(bargap=0.1)
    figure.update_yaxes(title={"text": "Receipts", "font": {"size": 11, "color": colours.ink}}, nticks=3, row=2)
    return figure, _describe(weeks, reorder_point)


def _line(
    figure: Figure, x: Any, y: Any, name: str, colour: str, width: float, dash: str, shape: str = "linear"
) -> None:
    figure.add_trace(
        scatter(
            x=list(x),
            y=list(y),
            name=name,
            mode="lines",
            connectgaps=False,
            line={"color": colour, "width": width, "dash": dash, "shape": shape},
            customdata=[text.full(v) for v in y],
            hovertemplate=name + " %{customdata}<extra></extra>",
        ),
    )


def _stockouts(figure: Figure, past: pd.DataFrame, colours: Any) -> None:
    """Hatched columns behind the days on which the shelf was empty."""
    rows = past[past["stockout"].fillna(False).astype(bool)]
    if rows.empty:
        return
    top = float(np.nanmax(past[["stock_level", "reorder_point"]].to_numpy(dtype=float), initial=1.0))
    figure.add_trace(
        bar(
            x=rows["date"],
            y=[top] * len(rows),
            width=86_400_000,
            name="Stock-out",
            marker={
                "color": "rgba(0,0,0,0)",
                "line": {"width": 0},
                "pattern": {"shape": "/", "fgcolor": colours.bad, "size": 6, "solidity": 0.2, "fgopacity": 0.8},
            },
            hoverinfo="skip",
        ),
    )


def _receipts(figure: Figure, weeks: pd.DataFrame, past: pd.DataFrame, colours: Any) -> None:
    """What came in (solid) and what is on order (outlined), below the stock."""
    parts = []
    if len(past):
        came = past[past["receipts"].fillna(0) > 0]
        monday = came["date"] - pd.to_timedelta(came["date"].dt.day_of_week, unit="D")
        parts.append(("Received", came.groupby(monday)["receipts"].sum(), {"color": colours.actual}))
    due = weeks[weeks["receipts"].fillna(0) > 0].set_index(pd.to_datetime(weeks.loc[weeks["receipts"] > 0, "week"]))
    outline = {"color": "rgba(0,0,0,0)", "line": {"color": colours.forecast, "width": 1.5}}
    parts.append(("On order", due["receipts"], outline))
    for name, values, marker in parts:
        if len(values):
            figure.add_trace(
                bar(
                    x=values.index + pd.Timedelta(3, "D"),
                    y=values.to_numpy(),
                    width=5 * 86_400_000,
                    name=name,
                    marker=marker,
                    customdata=[text.full(v) for v in values],
                    hovertemplate=name + " %{customdata}<extra></extra>",
                ),
                row=2,
            )


def _describe(weeks: pd.DataFrame, reorder_point: float) -> str:
    last = weeks.iloc[-1]
    words = (
        f"Stock as it was and as it is expected over {text.count(len(weeks), 'week')}: "
        f"{text.short(weeks['q50'].iloc[0])} at the end of the first, {text.short(last['q50'])} at the end "
        f"of the last, 80 % range {text.short(last['q10'])} to {text.short(last['q90'])}."
    )
    below = weeks[weeks["q50"] < reorder_point] if np.isfinite(reorder_point) else weeks.iloc[:0]
    if len(below):
        words += f" It falls below the advised reorder point in the week of {text.week(below['week'].iloc[0])}."
    return words
