"""Charts of the Data page: pure builders from frames to (figure, sentence for readers who cannot see it)."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from trendcast.ui import text
from trendcast.ui.figure import Figure, bar, scatter
from trendcast.ui.plots import dress, over_time, palette

# Column of the feature set -> its name in tables.
FEATURES = {
    "sales_units": "Units",
    "rolling_avg_7d": "Mean of 7 days",
    "rolling_avg_30d": "Mean of 30 days",
    "rolling_std_14d": "Spread of 14 days",
    "sales_lag_1": "Day before",
    "sales_lag_7": "Week before",
    "sales_lag_14": "Two weeks before",
    "week_over_week_change": "Against the week before",
    "stock_level": "Stock",
    "economic_index": "Economic index",
    "competitor_promotion_intensity": "Competitors' promotions",
    "social_media_mentions": "Mentions",
    "seasonal_events": "Events",
}
STAGES = (
    "Reading the sales",
    "Fitting the models",
    "Combining and calibrating",
    "Measuring the accuracy",
    "Learning the drivers",
    "Deciding on stock",
    "Writing the forecasts",
    "Thinning old runs",
)
# Title of a small chart -> its lines.
PANELS = {
    "Units and their means of 7 and 30 days": ("sales_units", "rolling_avg_7d", "rolling_avg_30d"),
    "Spread of 14 days": ("rolling_std_14d",),
    "Stock": ("stock_level",),
    "Economic index": ("economic_index",),
    "Competitors' promotions": ("competitor_promotion_intensity",),
    "Mentions in social media": ("social_media_mentions",),
}


def features_chart(frame: pd.DataFrame, *, dark: bool) -> tuple[Figure, str]:
    """Small charts of the feature set of one category and region, sharing the time axis; empty ones are left out."""
    colours = palette(dark)
    frame = frame.sort_values("date_id")
    panels = {title: names for title, names in PANELS.items() if frame[names[0]].notna().any()}
    figure = Figure(heights=[1] * len(panels), spacing=0.05)
    styles = (
        (colours.last_year, 1.0, "solid"),
        (colours.actual, 1.8, "solid"),
        (colours.forecast, 1.8, "dot"),
    )
    said = []
    for row, (title, names) in enumerate(panels.items(), start=1):
        figure.add_title(row, title, font={"size": 12, "color": colours.ink})
        for name, (colour, width, dash) in zip(names, styles if len(names) > 1 else styles[1:2], strict=False):
            values = frame[name].astype(float)
            figure.add_trace(
                scatter(
                    x=frame["date_id"],
                    y=values,
                    mode="lines",
                    name=FEATURES[name],
                    showlegend=False,
                    line={"color": colour, "width": width, "dash": dash},
                    customdata=[text.full(v) for v in values],
                    hovertemplate=FEATURES[name] + " %{customdata}<extra></extra>",
                ),
                row=row,
            )
        values = frame[names[0]].astype(float)
        said.append(f"{title.lower()} between {text.short(values.min())} and {text.short(values.max())}")
    dress(figure, colours, 60 + 110 * len(panels), (8, 12, 26, 8), size=12, hoversubplots="axis")
    over_time(figure)
    figure.update_xaxes(tickfont={"size": 11})
    figure.update_yaxes(zerolinecolor=colours.tag, tickformat="~s", nticks=4, tickfont={"size": 11})
    figure.update_yaxes(rangemode="tozero", row=1)
    return figure, "Small charts over time: " + "; ".join(said) + "."


def stages_chart(seconds: Mapping[str, float], *, dark: bool) -> tuple[Figure, str]:
    """How long each stage of a run took, in their order."""
    colours = palette(dark)
    # As a run goes through them; the store keeps no order.
    order = [name for name in STAGES if name in seconds] + [n for n in seconds if n not in STAGES and n != "total"]
    stages = {name: float(seconds[name]) for name in order}
    figure = Figure(
        bar(
            y=[text.plotly(name[:1].upper() + name[1:]) for name in stages],
            x=list(stages.values()),
            orientation="h",
            marker={"color": colours.forecast},
            text=[text.seconds(value) for value in stages.values()],
            textposition="outside",
            textfont={"color": colours.ink},
            cliponaxis=False,
            hoverinfo="skip",
            width=0.6,
        )
    )
    dress(figure, colours, 60 + 34 * len(stages), (8, 70, 8, 8), hovermode=False)
    figure.update_xaxes(visible=False, rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False, title=None)
    longest = max(stages, key=stages.__getitem__) if stages else ""
    words = f"the longest is {longest.lower()} with {text.seconds(stages[longest])}" if longest else "nothing is known"
    return figure, f"Bars of the seconds by stage: {words}."
