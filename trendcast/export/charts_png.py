"""Charts as pictures, drawn by matplotlib without a screen or browser: pure builders to (figure, sentence).

Marks and colours are those of the pages: solid is actual, dashed is forecast, lighter is the earlier year, diamonds are
anomalies. The sentence says what the picture shows, for readers who cannot see it.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast import wording

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACTUAL, FORECAST, LAST_YEAR = "#1F2937", "#2563EB", "#9CA3AF"
HIGH, MEDIUM = "#DC2626", "#D97706"
INK, GRID, TAG = "#374151", "#E5E7EB", "#6B7280"
BANDS = (("low95", "high95", "95", 0.12), ("low80", "high80", "80", 0.25))
DPI, COLOURS = 110, 96


def forecast_chart(
    history: pd.DataFrame,
    ahead: pd.DataFrame,
    *,
    title: str,
    measure: str,
    per: str,
    anomalies: pd.DataFrame | None = None,
) -> tuple[Figure, str]:
    """History and forecast of one series.

    ``history``: date, actual and, if there is one, last_year; ``ahead``: date, middle and low80, high80, low95, high95
    (NaN or not there: no such band); ``anomalies``: date, actual, impact. ``measure``: what is drawn ('Units'), ``per``
    'day' or 'week'.
    """
    figure, axes = _canvas(title)
    if "last_year" in history and history["last_year"].notna().any():
        axes.plot(history["date"], history["last_year"], color=LAST_YEAR, linewidth=1, label="Last year")
    axes.plot(history["date"], history["actual"], color=ACTUAL, linewidth=1.6, label="Actual")
    drawn = _joined(history, ahead)
    for low, high, name, opacity in BANDS:
        rows = drawn[drawn[low].notna() & drawn[high].notna()] if low in drawn else drawn[:0]
        if len(rows) > 1:
            axes.fill_between(
                rows["date"], rows[low], rows[high], color=FORECAST, alpha=opacity, linewidth=0,
                label=f"{name}{wording.NARROW}% band",
            )  # fmt: skip
            axes.annotate(
                f"{name}{wording.NARROW}%", (rows["date"].iloc[-1], rows[high].iloc[-1]), xytext=(3, 0),
                textcoords="offset points", color=FORECAST, fontsize=8, va="center",
            )  # fmt: skip
    axes.plot(drawn["date"], drawn["middle"], color=FORECAST, linewidth=1.8, linestyle=(0, (4, 2)), label="Forecast")
    if len(history) and len(ahead):
        axes.axvline(ahead["date"].iloc[0], color=TAG, linewidth=0.8, linestyle=":")
    marked = _marked(axes, anomalies)
    _finish(axes, f"{measure} per {per}")
    return figure, _describe(history, ahead, title, measure.lower(), per, marked)


def panels(parts: Mapping[str, pd.Series], *, title: str) -> tuple[Figure, str]:
    """One panel below the other, each a part by day, under its name."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.55 * len(parts) + 0.8), layout="constrained")
    grid = figure.subplots(len(parts), 1, sharex=True, squeeze=False)[:, 0]
    _title(figure, title)
    for axes, (name, part) in zip(grid, parts.items(), strict=True):
        points = name == "resid"
        axes.plot(
            part.index, part.to_numpy(), color=ACTUAL if name == "observed" else FORECAST, linewidth=1,
            linestyle="none" if points else "-", marker="." if points else None, markersize=2.5,
        )  # fmt: skip
        _frame(axes)
        axes.set_ylabel(name.capitalize(), color=INK, fontsize=9)
    said = ", ".join(parts)
    index = next(iter(parts.values())).index
    return figure, f"{title}: {said}, day by day from {wording.day(index[0])} to {wording.day(index[-1])}."


def png(figure: Figure) -> bytes:
    """The picture of a figure. A character that no font here has is drawn as a box, which is no reason to fail."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        canvas.draw()
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    buffer = io.BytesIO()
    # A chart has few colours: a third of the size, and the same to the eye.
    drawn.quantize(COLOURS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True, dpi=(DPI, DPI))
    return buffer.getvalue()


def _canvas(title: str) -> tuple[Figure, Axes]:
    # Not through pyplot: it keeps every figure and belongs to one thread.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots()
    _title(figure, title)
    return figure, axes


def _title(figure: Figure, title: str) -> None:
    figure.suptitle(
        textwrap.fill(title, 100), x=0.01, ha="left", fontsize=11, color=ACTUAL, parse_math=False
    )  # a name may hold a $


def _frame(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FuncFormatter

    locator = AutoDateLocator(maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: wording.short(value)))
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=8, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)


def _finish(axes: Axes, measure: str) -> None:
    _frame(axes)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(measure, color=INK, fontsize=9)
    axes.margins(x=0.02)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(
            handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=len(labels), frameon=False,
            fontsize=8, labelcolor=INK,
        )  # fmt: skip


def _joined(history: pd.DataFrame, ahead: pd.DataFrame) -> pd.DataFrame:
    """The forecast with the last actual in front, so that line and bands start where history ends."""
    known = history[history["actual"].notna()].tail(1)
    if known.empty or ahead.empty:
        return ahead
    start = {column: known["actual"].iloc[0] for column in ahead.columns if column != "date"}
    return pd.concat([pd.DataFrame([{"date": known["date"].iloc[0], **start}]), ahead], ignore_index=True)


def _marked(axes: Axes, anomalies: pd.DataFrame | None) -> dict[str, int]:
    """Diamonds, the HIGH ones large; how many of each were drawn."""
    counts: dict[str, int] = {}
    if anomalies is None:
        return counts
    for impact, colour, size in (("HIGH", HIGH, 55), ("MEDIUM", MEDIUM, 28), ("LOW", MEDIUM, 14)):
        rows = anomalies[anomalies["impact"] == impact]
        if len(rows):
            counts[impact] = len(rows)
            axes.scatter(
                rows["date"], rows["actual"], marker="D", s=size, color=colour, zorder=5, linewidths=0,
                label=f"Anomaly, {impact.lower()}",
            )  # fmt: skip
    return counts


def _describe(
    history: pd.DataFrame, ahead: pd.DataFrame, title: str, measure: str, per: str, marked: Mapping[str, int]
) -> str:
    parts = [f"Line chart of {measure} per {per}: {title}."]
    past = history[history["actual"].notna()]
    if len(past):
        parts.append(
            f"Actuals from {wording.day(past['date'].iloc[0])} to {wording.day(past['date'].iloc[-1])}, between "
            f"{wording.short(past['actual'].min())} and {wording.short(past['actual'].max())}."
        )
    if len(ahead):
        parts.append(
            f"Forecast until {wording.day(ahead['date'].iloc[-1])}, on average {wording.short(ahead['middle'].mean())}"
            f" per {per}" + (_width(ahead) + "." if "low80" in ahead else ".")
        )
    if marked:
        parts.append("Anomalies marked: " + ", ".join(f"{count} {name}" for name, count in marked.items()) + ".")
    return " ".join(parts)


def _width(ahead: pd.DataFrame) -> str:
    rows: Any = ahead[["low80", "high80"]].to_numpy(float)
    if not np.isfinite(rows).any():
        return ""
    low, high = np.nanmean(rows, axis=0)
    return f", the 80{wording.NARROW}% band on average {wording.short(low)} to {wording.short(high)}"
