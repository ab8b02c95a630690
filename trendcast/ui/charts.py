"""Charts: pure builders from frames to (figure, sentence for readers who cannot see it).

Marks and colours are those of the IBCS notation: solid is actual, dashed is forecast, lighter is the earlier year.
Names reach a figure only through text.plotly, numbers only through text.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from trendcast.ui import text
from trendcast.ui.figure import Figure, bar, scatter
from trendcast.ui.plots import Palette, band, dress, legend, over_time, palette, volumes

COMPONENTS = {
    "trend": "Trend (less on closed days)",
    "weekly": "Day of the week",
    "yearly": "Time of the year",
    "holidays": "Holidays and events",
    "promotions": "Promotions",
    "rest": "Rest (not explained)",
}


def forecast_chart(
    table: pd.DataFrame,
    *,
    grain: str,
    unit: str,
    dark: bool,
    coverage80: float | None = None,
    coverage95: float | None = None,
    last_day: pd.Timestamp | None = None,
    marks: pd.DataFrame | None = None,
    truth: pd.DataFrame | None = None,
) -> tuple[Figure, str]:
    """History and forecast of one selection, with what happened on lanes below.

    ``table``: measures.grid in the window on view; ``unit``: 'units' or 'money'; coverages are shares measured in the
    backtest, shown beside the bands they belong to. ``marks``: measures.marked, its anomalies; ``truth``: date and
    demand, what only a made-up retailer knows.
    """
    colours = palette(dark)
    measure = text.measure_inline(unit)
    per = "week" if grain == "week" else "day"
    table = table.reset_index(drop=True)
    dates = table["date"]
    lanes = _lanes(table, grain)
    part = 0.055 * len(lanes)
    figure = Figure(heights=[1 - part, part], spacing=0.02) if lanes else Figure()
    _stockouts(figure, table, colours)
    joined = _joined(table)
    _bands(figure, joined, colours, coverage80, coverage95)
    earlier = table["last_year"].notna()
    if earlier.any():
        figure.add_trace(
            scatter(
                x=dates,
                y=table["last_year"],
                name="Last year",
                mode="lines",
                line={"color": colours.last_year, "width": 1.2},
                customdata=[text.full(v) for v in table["last_year"]],
                hovertemplate="Last year %{customdata}<extra></extra>",
            ),
        )
    past = ~table["future"]
    if past.any():
        figure.add_trace(
            scatter(
                x=dates[past],
                y=table.loc[past, "actual"],
                name="Actual",
                mode="lines",
                line={"color": colours.actual, "width": 2},
                connectgaps=False,
                customdata=_history_hover(table[past], grain),
                hovertemplate="<b>Actual %{customdata[0]}</b>%{customdata[1]}<extra></extra>",
            ),
        )
    _ghost(figure, table, colours, grain)
    if truth is not None and len(truth):
        _truth(figure, truth, colours)
    ahead = table["mean"].notna() | table["p50"].notna()
    middle = joined["middle"]
    if ahead.any():
        figure.add_trace(
            scatter(
                x=joined["date"],
                y=middle,
                name="Forecast",
                mode="lines",
                line={"color": colours.forecast, "width": 2.2, "dash": "dash"},
                customdata=_forecast_hover(joined, grain),
                hovertemplate="%{customdata}<extra></extra>",
            ),
        )
    if marks is not None:
        _marks(figure, marks, colours)
    for position, (label, symbol, rows, sizes, hover) in enumerate(lanes):
        figure.add_trace(
            scatter(
                x=dates[rows],
                y=[len(lanes) - 1 - position] * int(rows.sum()),
                mode="markers",
                name=label,
                marker={"symbol": symbol, "size": 8, "color": colours.tag, "opacity": sizes, "line": {"width": 0}},
                customdata=hover,
                hovertemplate=f"{label}: %{{customdata}}<extra></extra>",
                showlegend=False,
            ),
            row=2,
        )
    _layout(figure, colours, text.axis(unit, per), 400 + 26 * len(lanes), lanes)
    if ahead.any() and last_day is not None:
        _forecast_start(figure, pd.Timestamp(last_day), table, grain, colours)
    _band_labels(figure, table, colours)
    said = _describe(table, measure, per)
    if marks is not None and len(marks):
        high = int((marks["impact"] == "HIGH").sum())
        said += f" {text.count(len(marks), per)} marked as unusual, {text.full(high)} of high impact."
    return figure, said


def _ghost(figure: Figure, table: pd.DataFrame, colours: Palette, grain: str) -> None:
    """Demand that stock-outs turned away: hatched on top of what was sold, under a dotted grey line."""
    lost = table["lost"].fillna(0.0) > 0
    if not lost.any():
        return
    step = 7 if grain == "week" else 1
    figure.add_trace(
        bar(
            x=table.loc[lost, "date"],
            y=table.loc[lost, "lost"],
            base=table.loc[lost, "actual"].tolist(),
            width=0.8 * step * 86_400_000,
            name="Lost to stock-outs",
            marker={
                "color": "rgba(0,0,0,0)",
                "line": {"width": 0},
                "pattern": {"shape": "x", "fgcolor": colours.tag, "size": 5, "solidity": 0.3},
            },
            customdata=[text.full(v) for v in table.loc[lost, "lost"]],
            hovertemplate="Lost to stock-outs %{customdata} (estimated)<extra></extra>",
        ),
    )
    # The weeks beside join the line to what was sold.
    near = lost | lost.shift(1, fill_value=False) | lost.shift(-1, fill_value=False)
    figure.add_trace(
        scatter(
            x=table["date"],
            y=table["demand"].where(near),
            mode="lines",
            name="Demand without stockouts",
            line={"color": colours.tag, "width": 1.6, "dash": "dot"},
            connectgaps=False,
            hoverinfo="skip",
        ),
    )


def _truth(figure: Figure, truth: pd.DataFrame, colours: Palette) -> None:
    """What customers really wanted, which only the demo knows."""
    figure.add_trace(
        scatter(
            x=truth["date"],
            y=truth["demand"],
            mode="lines",
            name="Truth (demo only)",
            line={"color": colours.look, "width": 1.4, "dash": "longdashdot"},
            connectgaps=False,
            customdata=[text.full(v) for v in truth["demand"]],
            hovertemplate="True demand %{customdata} (demo only)<extra></extra>",
        ),
    )


# Impact -> symbol, size, name: large, small, small and hollow; the colour is never the only sign.
MARKS = {
    "HIGH": ("diamond", 13, "High anomaly"),
    "MEDIUM": ("diamond", 8, "Medium anomaly"),
    "LOW": ("diamond-open", 7, "Low anomaly"),
}


def _marks(figure: Figure, marks: pd.DataFrame, colours: Palette) -> None:
    """Anomalies as diamonds on the history."""
    colour = {"HIGH": colours.bad, "MEDIUM": colours.edited, "LOW": colours.tag}
    for impact, (symbol, size, name) in MARKS.items():
        rows = marks[marks["impact"] == impact]
        if rows.empty:
            continue
        figure.add_trace(
            scatter(
                x=rows["date"],
                y=rows["actual"],
                mode="markers",
                name=name,
                marker={"symbol": symbol, "size": size, "color": colour[impact], "line": {"width": 1}},
                customdata=[text.wrapped(headline, 60) for headline in rows["headline"]],
                hovertemplate=f"<b>{name}</b><br>%{{customdata}}<extra></extra>",
            ),
        )


def _joined(table: pd.DataFrame) -> pd.DataFrame:
    """The forecast's rows with the last actual in front, so that line and bands start where history ends."""
    middle = table["mean"].fillna(table["p50"])  # the mean, as in tiles and sentences; the median is in the table
    rows = table.assign(middle=middle)
    ahead = rows[middle.notna()].copy()
    if ahead.empty:
        return ahead
    before = rows[(rows["date"] < ahead["date"].iloc[0]) & rows["actual"].notna()].tail(1).copy()
    ahead["joint"] = False
    if before.empty:
        return ahead
    for column in ("middle", "low80", "high80", "low95", "high95"):
        before[column] = before["actual"]
    before["joint"] = True
    # The running week has an expected value but no band: the band opens from the same point.
    first = ahead.index[0]
    if pd.isna(ahead.loc[first, "low80"]) and ahead["low80"].notna().any():
        for column in ("low80", "high80", "low95", "high95"):
            ahead.loc[first, column] = ahead.loc[first, "middle"]
    return pd.concat([before, ahead], ignore_index=True)


def _bands(
    figure: Figure, joined: pd.DataFrame, colours: Palette, cover80: float | None, cover95: float | None
) -> None:
    if joined.empty:
        return
    for low, high, name, colour, cover in (
        ("low95", "high95", "95", colours.band95, cover95),
        ("low80", "high80", "80", colours.band80, cover80),
    ):
        label = f"{name}{text.NARROW}% band"
        if cover is not None and np.isfinite(cover):
            label += f" (held {text.percent(cover)})"
        band(figure, joined, low, high, colour, label)


def _stockouts(figure: Figure, table: pd.DataFrame, colours: Palette) -> None:
    """Hatched columns behind the weeks in which the shelf was empty."""
    rows = table["stockout"].fillna(0) > 0
    if not rows.any():
        return
    top = float(np.nanmax(table[["actual", "last_year", "high95", "mean"]].to_numpy(dtype=float), initial=0.0)) or 1.0
    step = 7 if len(table) > 1 and (table["date"].iloc[1] - table["date"].iloc[0]).days == 7 else 1
    figure.add_trace(
        bar(
            x=table.loc[rows, "date"],
            y=[top * 1.04] * int(rows.sum()),
            width=step * 86_400_000,
            name="Stock-out",
            marker={
                "color": "rgba(0,0,0,0)",
                "line": {"width": 0},
                "pattern": {"shape": "/", "fgcolor": colours.tag, "size": 6, "solidity": 0.18, "fgopacity": 0.8},
            },
            hoverinfo="skip",
        ),
    )


def _lanes(table: pd.DataFrame, grain: str) -> list[tuple[str, str, pd.Series, list[float], list[str]]]:
    """What happened, a lane each: label, symbol, rows, strength and hover words. Lanes without a mark are left out."""
    days = 7 if grain == "week" else 1
    lanes: list[tuple[str, str, pd.Series, list[float], list[str]]] = []
    rows = table["promotion"].fillna(0) > 0.04
    if rows.any():
        share = table.loc[rows, "promotion"]
        words = [f"{text.percent(v, 0)} of {'the week' if days == 7 else 'sales places'}" for v in share]
        lanes.append(("Promotion", "square", rows, [float(0.25 + 0.75 * min(1.0, v)) for v in share], words))
    rows = table["events"].fillna("").astype(str) != ""
    if rows.any():
        lanes.append(
            ("Event", "star", rows, [0.9] * int(rows.sum()), [text.plotly(v, 90) for v in table.loc[rows, "events"]])
        )
    rows = table["closed"].fillna(0) > 0
    if rows.any():
        words = [
            text.count(round(v * days), "day") if days == 7 else "the whole day" for v in table.loc[rows, "closed"]
        ]
        lanes.append(("Closed", "x", rows, [0.9] * int(rows.sum()), words))
    return lanes


def _history_hover(table: pd.DataFrame, grain: str) -> list[list[str]]:
    hover = []
    for row in table.itertuples():
        notes = []
        if np.isfinite(row.promotion) and row.promotion > 0.04:
            notes.append(f"Promotion ({text.percent(row.promotion, 0)})")
        if row.events:
            notes.append(text.plotly(row.events, 90))
        if row.closed > 0:
            notes.append("Closed" + (f" {text.count(round(row.closed * 7), 'day')}" if grain == "week" else ""))
        if row.stockout > 0:
            notes.append("Stock-out" + (f" {text.count(int(row.stockout), 'day')}" if grain == "week" else ""))
        hover.append([text.full(row.actual), "<br>" + " · ".join(notes) if notes else ""])
    return hover


def _forecast_hover(joined: pd.DataFrame, grain: str) -> list[str]:
    hover = []
    for row in joined.itertuples():
        if row.joint:
            hover.append("Forecast starts here")
            continue
        lines = [f"<b>Forecast {text.full(row.middle)}</b>"]
        if np.isfinite(row.p50) and np.isfinite(row.low80):
            lines.append(f"80{text.NARROW}%: {text.full(row.low80)} to {text.full(row.high80)}")
            lines.append(f"95{text.NARROW}%: {text.full(row.low95)} to {text.full(row.high95)}")
        elif grain == "week" and row.days > 0:
            lines.append(f"{row.days:.0f} of 7 days are actual, the rest is forecast")
        if row.events:
            lines.append(text.plotly(row.events, 90))
        hover.append("<br>".join(lines))
    return hover


def _layout(figure: Figure, colours: Palette, title: str, height: int, lanes: list) -> None:
    below = legend(-0.14 - 0.02 * len(lanes), itemclick="toggle")
    dress(figure, colours, height, (8, 34, 8, 8), bargap=0, barmode="overlay", legend=below)
    over_time(figure, "week" if "week" in title else "day")
    volumes(figure, colours, title, row=1)
    if lanes:
        figure.update_yaxes(
            row=2,
            tickmode="array",
            tickvals=list(range(len(lanes)))[::-1],
            ticktext=[lane[0] for lane in lanes],
            range=[-0.6, len(lanes) - 0.4],
            showgrid=False,
            zeroline=False,
            tickfont={"size": 11},
        )


def _forecast_start(figure: Figure, last_day: pd.Timestamp, table: pd.DataFrame, grain: str, colours: Palette) -> None:
    start = last_day + pd.Timedelta(1, "D")
    middle = table["mean"].notna() | table["p50"].notna()
    at = table.loc[middle, "date"].iloc[0]
    line = at - pd.Timedelta(84, "h") if grain == "week" else at - pd.Timedelta(12, "h")
    figure.add_vline(x=line, line={"color": colours.tag, "width": 1, "dash": "dot"})
    figure.add_annotation(
        x=line,
        y=1,
        yref="paper",
        text=f"Forecast from {text.day_short(start)}",
        showarrow=False,
        xanchor="right",
        yanchor="top",
        xshift=-4,
        font={"size": 11, "color": colours.ink},
    )


def _band_labels(figure: Figure, table: pd.DataFrame, colours: Palette) -> None:
    rows = table[table["high80"].notna()]
    if rows.empty:
        return
    last = rows.iloc[-1]
    for column, label, anchor in (("high80", "80", "top"), ("high95", "95", "bottom")):
        figure.add_annotation(
            x=last["date"],
            y=last[column],
            text=f"{label}{text.NARROW}%",
            showarrow=False,
            xanchor="left",
            xshift=3,
            yanchor=anchor,
            font={"size": 11, "color": colours.forecast},
        )


def _describe(table: pd.DataFrame, measure: str, per: str) -> str:
    past = table[table["actual"].notna()]
    ahead = table[table["p50"].notna() | table["mean"].notna()]
    parts = [f"Line chart of {measure} per {per}."]
    if len(past):
        parts.append(
            f"Actuals from {text.day(past['date'].iloc[0])} to {text.day(past['date'].iloc[-1])}, between "
            f"{text.short(past['actual'].min())} and {text.short(past['actual'].max())}."
        )
    if len(ahead):
        middle = ahead["mean"].fillna(ahead["p50"])
        parts.append(
            f"Forecast of {text.count(len(ahead), per)} to {text.day(ahead['date'].iloc[-1])}, starting at "
            f"{text.short(middle.iloc[0])} and ending at {text.short(middle.iloc[-1])}."
        )
        if ahead["low80"].notna().any():
            last = ahead[ahead["low80"].notna()].iloc[-1]
            parts.append(f"In the last {per} 80 % range {text.short(last['low80'])} to {text.short(last['high80'])}.")
    return " ".join(parts)


def decomposition_chart(
    parts: pd.DataFrame, *, unit: str, dark: bool, last_day: pd.Timestamp, grain: str = "day"
) -> tuple[Figure, str]:
    """Small multiples of what the number is made of, sharing the time axis.

    ``parts``: date and one column per component, in the unit on view, summing to the number. All effects share one
    scale, so that their sizes can be compared; the trend, a volume, starts at zero.
    """
    colours = palette(dark)
    largest = float(parts["trend"].abs().max()) or 1.0
    # Over whole weeks the days of the week cancel out: a flat line would only take room.
    floor = 0.05 * largest if grain == "week" else 0.0
    names = [
        name
        for name in COMPONENTS
        if name in parts and (name == "trend" or parts[name].abs().max() > (floor if name == "weekly" else 0))
    ]
    effects = [name for name in names if name != "trend"]
    reach = max((float(np.nanmax(parts[n].abs())) for n in effects), default=1.0) or 1.0
    step = _round_down(0.9 * reach)
    figure = Figure(heights=[1] * len(names), spacing=0.035)
    sizes = []
    for row, name in enumerate(names, start=1):
        figure.add_title(row, COMPONENTS[name], font={"size": 12, "color": colours.ink})
        values = parts[name]
        past = parts["date"] <= last_day
        ahead = ~past
        if past.any() and ahead.any():
            ahead = ahead | (parts.index == parts.index[past][-1])  # the lines meet
        for rows, dash in ((past, "solid"), (ahead, "dot")):
            if rows.sum() < 2:
                continue
            figure.add_trace(
                scatter(
                    x=parts.loc[rows, "date"],
                    y=values[rows],
                    mode="lines",
                    name=COMPONENTS[name],
                    showlegend=False,
                    line={"color": colours.actual if dash == "solid" else colours.forecast, "width": 1.4, "dash": dash},
                    customdata=[text.full(v) for v in values[rows]],
                    hovertemplate=COMPONENTS[name] + " %{customdata}<extra></extra>",
                ),
                row=row,
            )
        if name == "trend":
            figure.update_yaxes(rangemode="tozero", row=row)
        else:
            figure.update_yaxes(range=[-1.1 * reach, 1.1 * reach], tickvals=[-step, 0, step], zeroline=True, row=row)
            sizes.append(f"{COMPONENTS[name].lower()} up to {text.short(values.abs().max())}")
    dress(figure, colours, 64 + 92 * len(names), (8, 12, 26, 8), size=12, hoversubplots="axis")
    over_time(figure, grain)
    figure.update_yaxes(zerolinecolor=colours.tag, tickformat="~s", nticks=4, tickfont={"size": 11})
    measure = text.measure_inline(unit)
    return figure, f"Small charts of the parts of the {measure} per {grain}: trend; " + "; ".join(sizes) + "."


def _round_down(value: float) -> float:
    """The largest 1, 2 or 5 times a power of ten that is not above the value."""
    power = 10.0 ** np.floor(np.log10(value)) if value > 0 else 1.0
    return float(power * max(m for m in (1, 2, 5) if m * power <= value * 1.0000001)) if value > 0 else 1.0


def look_chart(
    table: pd.DataFrame, looks: dict[str, pd.DataFrame], *, grain: str, unit: str, dark: bool
) -> tuple[Figure, str]:
    """Our forecast beside reference models of the same series. ``looks``: label -> date, value (low, high if any)."""
    colours = palette(dark)
    figure = Figure()
    joined = _joined(table)
    past = table["actual"].notna()
    figure.add_trace(
        scatter(
            x=table.loc[past, "date"],
            y=table.loc[past, "actual"],
            name="Actual",
            mode="lines",
            line={"color": colours.actual, "width": 1.8},
            customdata=[text.full(v) for v in table.loc[past, "actual"]],
            hovertemplate="Actual %{customdata}<extra></extra>",
        )
    )
    ahead = joined[~joined["joint"]] if len(joined) else joined
    if len(ahead):
        figure.add_trace(
            scatter(
                x=ahead["date"],
                y=ahead["middle"],
                name="TrendCast",
                mode="lines",
                line={"color": colours.forecast, "width": 2.2, "dash": "dash"},
                customdata=[text.full(v) for v in ahead["middle"]],
                hovertemplate="TrendCast %{customdata}<extra></extra>",
            )
        )
    words = []
    for (label, frame), dash, colour in zip(
        looks.items(), ("dashdot", "dot", "longdash"), (colours.look, colours.edited, colours.tag), strict=False
    ):
        figure.add_trace(
            scatter(
                x=frame["date"],
                y=frame["value"],
                name=text.plotly(label),
                mode="lines",
                line={"color": colour, "width": 2, "dash": dash},
                customdata=[text.full(v) for v in frame["value"]],
                hovertemplate=text.plotly(label) + " %{customdata}<extra></extra>",
            )
        )
        words.append(label)
    per = "week" if grain == "week" else "day"
    _layout(figure, colours, text.axis(unit, per), 340, [])
    return (
        figure,
        f"Line chart of our forecast beside {text.listing(words)}." if words else "Line chart of our forecast.",
    )
