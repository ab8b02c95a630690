"""Charts of the review: pure builders from its lines to (figure, sentence for readers who cannot see it)."""

from __future__ import annotations

from collections.abc import Sequence

from trendcast import wording
from trendcast.services.review import volume
from trendcast.services.review_figures import Line, Mover
from trendcast.ui import text
from trendcast.ui.figure import Figure, bar
from trendcast.ui.plots import Palette, dress, palette


def movement_chart(risers: Sequence[Line], fallers: Sequence[Line], *, unit: str, dark: bool) -> tuple[Figure, str]:
    """Bars around zero: by how much the next 12 weeks differ from the weeks they are compared with, best first."""
    colours = palette(dark)
    lines = [*risers, *reversed(fallers)]
    sums = [volume(line, unit) for line in lines]
    values = [one.difference or 0.0 for one in sums]
    labels = [
        f"{_signed_amount(value, unit)} ({wording.percent(one.change, sign=True)})"
        for value, one in zip(values, sums, strict=True)
    ]
    hover = [_hover(line) for line in lines]
    names = [line.name for line in lines]
    inks = [colours.good if value >= 0 else colours.bad for value in values]
    figure = _bars(names, values, labels, hover, inks, colours)
    said = [f"{len(risers)} rise", f"{len(fallers)} fall"]
    ends = [f"{name} {label}" for name, label in zip(names, labels, strict=True)]
    return figure, f"Bar chart of the change of the next 12 weeks by name: {' and '.join(said)}; " + "; ".join(
        ends
    ) + "."


def _hover(line: Line) -> str:
    """Both measures of a line: what is expected and what it is compared with."""
    said = [text.plotly(line.name)]
    for unit in ("units", "money"):
        one = volume(line, unit)
        if one.difference is not None:
            weeks = "same weeks last year" if one.last_year else "last 12 weeks"
            said.append(
                f"next 12 weeks {text.full_amount(one.ahead, unit)}, {weeks} {text.full_amount(one.reference, unit)}"
            )
    return "<br>".join(said)


def causes_chart(whole: Mover, *, dark: bool) -> tuple[Figure, str]:
    """Bars around zero that add up to how the forecast of the same weeks changed since last week, in units."""
    colours = palette(dark)
    names = [*(name for name, _ in whole.causes), "Together"]
    values = [*(value for _, value in whole.causes), whole.now - whole.published]
    labels = [_signed_amount(value, "units") for value in values]
    hover = [f"{name} {text.full(value)}" for name, value in zip(names, values, strict=True)]
    # Blue raises, red lowers, as in every chart of what a number is made of.
    inks = [colours.forecast if value >= 0 else colours.bad for value in values]
    figure = _bars(names, values, labels, hover, [*inks[:-1], colours.actual], colours)
    parts = "; ".join(f"{name} {label}" for name, label in zip(names, labels, strict=True))
    return figure, f"Bar chart of why the forecast changed since last week, adding up to the last bar: {parts}."


def _bars(
    names: Sequence[str],
    values: Sequence[float],
    labels: Sequence[str],
    hover: Sequence[str],
    inks: Sequence[str],
    colours: Palette,
) -> Figure:
    """Horizontal bars, the first on top, each with its figure at the end that has room."""
    places = list(range(len(names)))
    figure = Figure(
        bar(
            orientation="h",
            y=places,
            x=list(values),
            text=list(labels),
            textposition="outside",
            cliponaxis=False,
            textfont={"color": colours.ink, "size": 12},
            marker={"color": list(inks), "line": {"width": 0}},
            customdata=list(hover),
            hovertemplate="%{customdata}<extra></extra>",
        )
    )
    low, high = min([0.0, *values]), max([0.0, *values])
    reach = (high - low) or 1.0
    height = 44 + 30 * len(names)
    dress(figure, colours, height, (8, 8, 4, 4), size=12, bargap=0.32, showlegend=False, hovermode="closest")
    # Room for the figures at both ends: a label takes a third of the plot on a narrow screen.
    figure.update_xaxes(
        range=[low - (0.8 * reach if low < 0 else 0), high + (0.8 * reach if high > 0 else 0)],
        showticklabels=False,
        zeroline=True,
        zerolinecolor=colours.tag,
    )
    ticks = [text.plotly(name, 24) for name in names]
    figure.update_yaxes(
        tickmode="array", tickvals=places, ticktext=ticks, autorange="reversed", showgrid=False, zeroline=False
    )
    return figure


def _signed_amount(value: float, unit: str) -> str:
    return ("+" if value > 0 else "") + text.amount(value, unit)
