"""Charts of what-ifs: pure builders from frames to (figure, sentence for readers who cannot see it)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from trendcast.ui import text
from trendcast.ui.charts_inbox import layout
from trendcast.ui.figure import Figure, bar, scatter
from trendcast.ui.plots import band, palette

TINT = {False: "rgba(124,58,237,0.20)", True: "rgba(167,139,250,0.24)"}  # the scenario's band, light and dark
DASHES = ("solid", "dash", "dot", "dashdot")


def scenario_chart(
    weeks: pd.DataFrame, past: pd.DataFrame, *, unit: str, dark: bool, grain: str = "week"
) -> tuple[Figure, str]:
    """Baseline and scenario with their 80 % bands, the difference below.

    weeks: date, base, scenario, low, high, base_low, base_high (NaN where there is no band), changed (bool), note (what
    happens that week, ''); past: date, actual of the weeks before.
    """
    colours = palette(dark)
    changed = bool(weeks["changed"].any())
    figure = Figure(heights=[0.74, 0.26], spacing=0.05) if changed else Figure()
    if len(past):
        figure.add_trace(
            scatter(
                x=past["date"],
                y=past["actual"],
                name="Actual",
                mode="lines",
                line={"color": colours.actual, "width": 2},
                customdata=[text.full_amount(v, unit) for v in past["actual"]],
                hovertemplate="Actual %{customdata}<extra></extra>",
            ),
        )
    joined = pd.concat([past.tail(1).assign(base=past["actual"].tail(1)), weeks], ignore_index=True)
    planned = f"As planned, 80{text.NARROW}%"
    shade = colours.band95 if changed else colours.band80
    band(figure, weeks, "base_low", "base_high", shade, planned)
    if changed:
        band(figure, weeks, "low", "high", TINT[dark], f"What if, 80{text.NARROW}%")
        figure.add_trace(
            scatter(
                x=weeks["date"],
                y=weeks["scenario"],
                name="What if",
                mode="lines+markers",
                line={"color": colours.look, "width": 2.4},
                marker={"size": [7 if one else 0 for one in weeks["changed"]], "color": colours.look},
                customdata=_hover(weeks, unit),
                hovertemplate="%{customdata}<extra></extra>",
            ),
        )
    figure.add_trace(
        scatter(
            x=joined["date"],
            y=joined["base"],
            name="As planned",
            mode="lines",
            line={"color": colours.forecast, "width": 2.2, "dash": "dash"},
            customdata=[text.full_amount(v, unit) for v in joined["base"]],
            hovertemplate="As planned %{customdata}<extra></extra>",
        ),
    )
    layout(figure, colours, text.axis(unit, grain), 440 if changed else 360)
    figure.update_layout(legend={"y": -0.1 if changed else -0.14})
    if changed:
        _differences(figure, weeks, unit, dark)
    return figure, _describe(weeks, unit, changed, grain)


def _differences(figure: Figure, weeks: pd.DataFrame, unit: str, dark: bool) -> None:
    """A panel of bars below: what each week gains or loses."""
    colours = palette(dark)
    difference = (weeks["scenario"] - weeks["base"]).to_numpy(float)
    figure.add_trace(
        bar(
            x=weeks["date"],
            y=difference,
            name="Difference",
            marker={
                "color": [colours.forecast if v >= 0 else colours.bad for v in difference],
                "pattern": {"shape": ["" if v >= 0 else "/" for v in difference], "solidity": 0.5},
            },
            customdata=[text.full_amount(v, unit) for v in difference],
            hovertemplate="Difference %{customdata}<extra></extra>",
            showlegend=False,
        ),
        row=2,
    )
    figure.update_layout(bargap=0.35)
    figure.update_yaxes(
        title={"text": "Difference", "font": {"size": 12, "color": colours.ink}, "standoff": 6},
        nticks=4,
        row=2,
    )


def comparison_chart(scenarios: Sequence[tuple[str, pd.DataFrame]], *, unit: str, dark: bool) -> tuple[Figure, str]:
    """What up to four kept scenarios change, week by week: (name, frame of week, difference) each."""
    colours = palette(dark)
    figure = Figure()
    inks = (colours.look, colours.forecast, colours.edited, colours.actual)
    said = []
    for n, (name, frame) in enumerate(scenarios):
        figure.add_trace(
            scatter(
                x=frame["week"],
                y=frame["difference"],
                name=text.plotly(name, 40),
                mode="lines+markers",
                line={"color": inks[n % len(inks)], "width": 2.2, "dash": DASHES[n % len(DASHES)]},
                marker={"size": 6, "symbol": n},
                customdata=[text.full_amount(v, unit) for v in frame["difference"]],
                hovertemplate=f"{text.plotly(name, 40)} %{{customdata}}<extra></extra>",
            )
        )
        said.append(f"{text.plain(name)}: {text.full_amount(float(np.nansum(frame['difference'])), unit)} in all")
    layout(figure, colours, f"Difference, {text.axis(unit, 'week').lower()}", 300)
    figure.update_yaxes(zeroline=True, zerolinecolor=colours.tag)
    return figure, "Lines of what the kept scenarios change per week. " + "; ".join(said) + "."


def _hover(weeks: pd.DataFrame, unit: str) -> list[str]:
    lines = []
    for row in weeks.itertuples():
        words = [f"<b>What if {text.full_amount(row.scenario, unit)}</b>"]
        if np.isfinite(row.low):
            words.append(f"80{text.NARROW}%: {text.full_amount(row.low, unit)} to {text.full_amount(row.high, unit)}")
        if row.note:
            words.append(text.plotly(row.note, 90))
        lines.append("<br>".join(words))
    return lines


def _describe(weeks: pd.DataFrame, unit: str, changed: bool, grain: str) -> str:
    if weeks.empty:
        return "There are no whole weeks ahead to show."
    start = f"Line chart from {text.day(weeks['date'].iloc[0])} to {text.day(weeks['date'].iloc[-1])}, by {grain}."
    base = float(weeks["base"].sum())
    if not changed:
        return f"{start} Nothing is changed: {text.full_amount(base, unit)} as planned."
    total = float((weeks["scenario"] - weeks["base"]).sum())
    most = weeks.loc[(weeks["scenario"] - weeks["base"]).abs().idxmax()]
    return (
        f"{start} The scenario is {text.full_amount(abs(total), unit)} {'above' if total >= 0 else 'below'} the plan's "
        f"{text.full_amount(base, unit)}; most in the {grain} of {text.day(most['date'])}."
    )
