"""What all figures have in common: colours, frame, axes and bands. Nothing here knows what a figure is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from trendcast import wording
from trendcast.ui.figure import Figure, scatter

CONFIG = {"displaylogo": False, "displayModeBar": False, "scrollZoom": False}


@dataclass(frozen=True)
class Palette:
    """Colours whose contrast on the page's background is calculated; bands are the forecast's colour."""

    actual: str
    forecast: str
    band80: str
    band95: str
    last_year: str
    edited: str
    good: str
    bad: str
    ink: str
    grid: str
    look: str
    tag: str


LIGHT = Palette(
    actual="#1F2937",
    forecast="#2563EB",
    band80="rgba(37,99,235,0.25)",
    band95="rgba(37,99,235,0.12)",
    last_year="#9CA3AF",
    edited="#D97706",
    good="#15803D",
    bad="#DC2626",
    ink="#374151",
    grid="rgba(31,41,55,0.10)",
    look="#7C3AED",
    tag="#6B7280",
)
DARK = Palette(
    actual="#E5E7EB",
    forecast="#60A5FA",
    band80="rgba(96,165,250,0.25)",
    band95="rgba(96,165,250,0.12)",
    last_year="#6B7280",
    edited="#FBBF24",
    good="#4ADE80",
    bad="#F87171",
    ink="#D1D5DB",
    grid="rgba(229,231,235,0.12)",
    look="#A78BFA",
    tag="#9CA3AF",
)


def palette(dark: bool) -> Palette:
    return DARK if dark else LIGHT


def legend(y: float, **more: Any) -> dict[str, Any]:
    """A legend in a line, below the plot."""
    return {"orientation": "h", "y": y, "x": 0, "xanchor": "left", "yanchor": "top", "title": None, **more}


def axis_title(words: str, colours: Palette) -> dict[str, Any]:
    return {"text": words, "standoff": 6, "font": {"color": colours.ink, "size": 12}}


def dress(
    figure: Figure, colours: Palette, height: int, margin: tuple[int, int, int, int], *, size: int = 13, **more: Any
) -> None:
    """The frame of every figure: no toys, the page's background and numbers. ``margin``: left, right, top, bottom in
    pixels; ``size`` of the font; ``more`` goes into the layout as it is."""
    shown: dict[str, Any] = {
        "separators": wording.separators(),
        "height": height,
        "margin": dict(zip("lrtb", margin, strict=True)),
        "hovermode": "x unified",
        "dragmode": False,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": colours.ink, "size": size},
        "hoverlabel": {"align": "left"},
    }
    figure.update_layout(**{**shown, **more})
    shared: dict[str, Any] = {"fixedrange": True, "color": colours.ink, "tickfont": {"color": colours.ink}}
    figure.update_xaxes(showgrid=False, title=None, **shared)
    figure.update_yaxes(gridcolor=colours.grid, zerolinecolor=colours.grid, automargin=True, **shared)


def over_time(figure: Figure, grain: str = "day") -> None:
    """Days, or weeks by their Mondays, along the bottom; of dates also where a panel has nothing on it, or what spans
    all panels could not be drawn there."""
    hover = "Week of %a %-d %b %Y (W%V)" if grain == "week" else "%a %-d %b %Y"
    figure.update_xaxes(type="date", hoverformat=hover, tickformat="%-d %b\n%Y")


def volumes(figure: Figure, colours: Palette, title: str, **which: Any) -> None:
    """Amounts from zero up, with their unit in the title; ``which``: the row of a figure of several panels."""
    figure.update_yaxes(rangemode="tozero", title=axis_title(title, colours), tickformat="~s", **which)


def band(figure: Figure, rows: pd.DataFrame, low: str, high: str, colour: str, name: str) -> None:
    """A band between two columns over ``date``; nothing where it is not known."""
    rows = rows[rows[low].notna() & rows[high].notna()]
    if len(rows) < 2:
        return
    line = {"color": "rgba(0,0,0,0)", "width": 0}
    shared: dict[str, Any] = {"x": rows["date"], "mode": "lines", "line": line, "hoverinfo": "skip"}
    figure.add_trace(scatter(y=rows[low], showlegend=False, **shared))
    figure.add_trace(scatter(y=rows[high], fill="tonexty", fillcolor=colour, name=name, **shared))
