"""The parts of the Accuracy page: finding, tiles, who to look at, models, horizon, bands, triangle and segments."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import streamlit as st

from trendcast.export import tables
from trendcast.services import accuracy as service
from trendcast.services.forecast import COMBINATION
from trendcast.services.review_parts import Link
from trendcast.ui import charts_accuracy, painted, plots, reads, scores, text
from trendcast.ui.provider import Choice
from trendcast.ui.shell import View, link
from trendcast.ui.states import calm

KINDS = {
    "bias": "Leans to one side",
    "tracking": "Drifts to one side",
    "coverage": "Band off",
    "new": "New",
    "ending": "Ending",
}
TRIANGLE_ROWS, TRIANGLE_AHEAD = 9, 2  # Mondays, and weeks ahead of them
FIRST_EXCEPTIONS = 5
SEGMENT_ROWS = 400


def _level(view: View) -> str:
    """The level whose series are judged: the one chosen in the bar."""
    return view.filters.level


def _judged(view: View) -> Choice:
    """The series of that level that the bar's names leave."""
    level, chosen = _level(view), view.filters
    return Choice(
        level,
        chosen.category if level.startswith("category") else (),
        chosen.region if level != "total" and level != "category" else (),
        chosen.store if level.endswith("store") else (),
    )


def headline(view: View) -> None:
    """What to trust, where not, and what to do, in one sentence."""
    st.header("Accuracy", anchor=False)
    level = reads.accuracy(view.run_id, _level(view))
    figures, name = _figures(view)
    off = _of_selection(reads.accuracy_exceptions(view.run_id), view)
    st.markdown("#### " + text.sentence(service.words(figures, service.held_bands(level), off, _level(view), name)))


def _names(chosen: Choice) -> list[tuple[str, ...]]:
    """What is chosen, first the category, then the place."""
    return [names for names in (chosen.categories, chosen.stores or chosen.regions) if names]


def _figures(view: View) -> tuple[pd.DataFrame, str]:
    """(Figures, name): the backtest of the selection's own series and what it is called; of the whole level and ''
    where nothing is chosen, or nothing of the selection was measured."""
    chosen = _judged(view)
    if chosen.categories or chosen.regions or chosen.stores:
        own = service.of_selection(reads.series_accuracy(view.run_id, chosen))
        if COMBINATION in set(own["model"]):
            named = [text.listing([text.plain(v) for v in names]) for names in _names(chosen)]
            return own, " in ".join(named)
    return reads.accuracy(view.run_id, _level(view)), ""


@calm
def tiles(view: View) -> None:
    """Error one and four weeks ahead, bias and bands: as published where weeks are over, else from the backtest."""
    figures, own = reads.accuracy(view.run_id, _level(view)), _figures(view)
    published = reads.published_errors(view.run_id, _judged(view)).set_index("lag_weeks")
    place = text.level_inline(_level(view))
    bands, whole = figures[figures["model"] == COMBINATION], f"{place} level"
    bands = bands.drop_duplicates("horizon_week").set_index("horizon_week")
    figures = own[0]
    place = "your selection" if own[1] else whole
    ours = figures[figures["model"] == COMBINATION].drop_duplicates("horizon_week").set_index("horizon_week")
    error = service.error_column(figures) if len(figures) else "wape"
    with st.grid(4, min_column_width=150, key="tiles"):
        for lag in (1, 4):
            back = float(ours[error].get(lag, float("nan"))) if len(ours) else float("nan")
            live = float(published["wape"].get(lag, float("nan"))) if len(published) else float("nan")
            known = live == live
            ahead = text.count(lag, "week")
            where = f"backtest of this run, {place}"
            if known:
                scored = f"{text.count(int(published['n'][lag]), 'forecast')} of {int(published['weeks'][lag])} weeks"
                where = f"published {ahead} before, {scored}, {place}"
            st.metric(
                f"Error {ahead} ahead",
                text.percent(live if known else back),
                delta=f"backtest {text.percent(back)}" if known and back == back else None,
                delta_color="off",
                delta_arrow="off",
                border=True,
                height="stretch",
                help=f"WAPE, {where}: the distance between forecast and actual as a share of sales. Lower is better.",
            )
        bias = float(published["bias"].get(1, float("nan"))) if len(published) else float("nan")
        from_log = bias == bias
        if not from_log and len(ours):
            bias = float(ours["bias"].get(0, float("nan")))
        st.metric(
            "Bias 1 week ahead" if from_log else "Bias",
            text.percent(bias, sign=True),
            delta=_side(bias),
            delta_color="orange" if abs(bias) > service.BIAS_LIMIT else "off",
            delta_arrow="off",
            border=True,
            height="stretch",
            help="Forecast minus actual as a share of sales"
            + (f", published one week before, {place}." if from_log else f", backtest, {place}.")
            + " Zero is right; above zero too much was forecast.",
        )
        share = float(bands["coverage80"].get(0, float("nan"))) if "coverage80" in bands else float("nan")
        points = float(bands["quantile_n"].get(0, 0)) if "quantile_n" in bands else 0
        st.metric(
            f"80{text.NARROW}% band, days",
            text.percent(share),
            delta=_width(share, text.level_inline(_level(view))),
            delta_color="orange" if abs(share - 0.8) > service.COVERAGE_LIMIT else "off",
            delta_arrow="off",
            border=True,
            height="stretch",
            help=f"How often a day fell inside its band, {text.full(points)} past days, backtest, {whole}; 80 % "
            "is right.",
        )


def _side(bias: float) -> str | None:
    if bias != bias:
        return None
    return "balanced" if abs(bias) < 0.02 else "forecast too much" if bias > 0 else "forecast too little"


def _width(share: float, level: str) -> str | None:
    if share != share:
        return None
    if abs(share - 0.8) <= service.COVERAGE_LIMIT:
        return f"as it should, {level}"
    return f"{'too narrow' if share < 0.8 else 'too wide'}, {level}"


@calm
def exceptions(view: View) -> None:
    """Which series not to trust without a look."""
    st.subheader("Where to look first", anchor=False)
    found = reads.accuracy_exceptions(view.run_id)
    found = _of_selection(found, view)
    if found.empty:
        st.caption("No series leans to one side, no band is off, and none is new or ending.")
        return
    worst = found.iloc[0]
    counts = found["kind"].value_counts()
    st.caption(" · ".join(f"{KINDS[kind]}: {text.full(counts[kind])}" for kind in KINDS if kind in counts))
    st.markdown("\n".join(f"- {text.sentence(words)}" for words in found["sentence"].head(FIRST_EXCEPTIONS)))
    if len(found) > FIRST_EXCEPTIONS:
        every = st.expander(f"All {text.full(len(found))}", on_change="rerun", key="exceptions_all")
        if every.open:
            with every:
                _exception_table(found)
    if worst["series_id"]:
        names = {"category": worst["product_category"], "region": worst["region"], "store": worst["store"]}
        query = tuple((name, str(value)) for name, value in names.items() if value)
        query += (("level", str(worst["level"])),)
        link(view, Link("forecasts", query), "Open the first of them", icon=":material/trending_up:")


def _exception_table(found: pd.DataFrame) -> None:
    shown = pd.DataFrame(
        {
            "What": [KINDS.get(kind, kind) for kind in found["kind"]],
            "Level": [text.level(level) for level in found["level"]],
            "What to do": [text.plain(words) for words in found["sentence"]],
            "Units per week": [text.short(value) for value in found["units"]],
        }
    ).head(500)
    st.dataframe(
        shown,
        hide_index=True,
        key="exceptions",
        height="content" if len(shown) < 12 else 420,
        column_config={
            "What": st.column_config.TextColumn(width=140),
            "Level": st.column_config.TextColumn(width=120),
            "What to do": st.column_config.TextColumn(width=820),
            "Units per week": st.column_config.TextColumn(alignment="right", width=110),
        },
        alt=f"{len(shown)} series or levels to look at, the most units wrong first.",
    )


def _of_selection(found: pd.DataFrame, view: View) -> pd.DataFrame:
    """The filters of the bar: names narrow the list; rows about a whole level stay."""
    for column, names in (
        ("product_category", view.filters.category),
        ("region", view.filters.region),
        ("store", view.filters.store),
    ):
        if names:
            found = found[found[column].isin(names) | (found["series_id"] == 0)]
    return found


@calm
def leaderboard(view: View) -> None:
    """Each model beside the naives, out of sample, and how many steps lie between them."""
    level = _level(view)
    found = reads.accuracy(view.run_id, level)
    st.subheader("Models", anchor=False)
    if found.empty:
        st.caption("The backtest of this run is still to come; the next run brings it.")
        return
    found, name = _figures(view)
    st.markdown(scores.accuracy_sentence(found, level, name))
    board = service.board(found)
    shown = pd.DataFrame(
        {
            "Model": [text.member(model) for model in board["model"]],
            scores.together(scores.reach(found)): [text.percent(v) for v in board["wape"]],
            "Better than the best naive": [text.percent(v, 0, sign=True) for v in board["margin"]],
            **{
                f"{w} {'week' if w == 1 else 'weeks'} ahead": [_cell(v) for v in board[f"wape_{w}"]] for w in (1, 4, 12)
            },
            "Bias": [text.percent(v, sign=True) for v in board["bias"]],
        }
    )
    shown = shown.loc[:, [not (shown[name] == "").all() for name in shown]]
    st.dataframe(
        shown,
        hide_index=True,
        key="leaderboard",
        height="content",
        column_config={
            "Model": st.column_config.TextColumn(pinned=True, width=210),
            **{name: st.column_config.TextColumn(alignment="right") for name in shown.columns[1:]},
        },
        alt="Models by their error, best first.",
    )
    naives = text.listing([f"“{text.member(model)}”" for model in service.NAIVES])
    st.caption(
        f"The naive ones, which need no model, are {naives}. Measured on past weeks, forecast from the data before "
        "them. The weights of the combination are those of this run, so its own error is very slightly flattered. Days "
        "that somebody confirmed as out of the ordinary count here; only nothing is learnt from them. Days "
        "whose data are wrong do neither until they are corrected."
    )
    steps = service.staircase(reads.series_accuracy(view.run_id, view.choice))
    if len(steps) > 1:
        st.markdown("**From naive to ours, your selection**")
        figure, alt = charts_accuracy.staircase_chart(steps, dark=view.dark)
        st.plotly_chart(figure, key=f"staircase_{view.dark}", config=plots.CONFIG, alt=alt)


def _cell(value: float) -> str:
    return "" if value != value else text.percent(value)


@calm
def horizon(view: View) -> None:
    """How the error grows with the weeks ahead."""
    found = reads.accuracy(view.run_id, _level(view))
    if found.empty or not (found["horizon_week"] > 0).any():
        return
    st.subheader("Error by weeks ahead", anchor=False)
    published = reads.published_errors(view.run_id, _judged(view))
    error = service.error_column(found)
    lead = f"All series at {text.level_inline(_level(view))} level together. " if _figures(view)[1] else ""
    st.markdown(lead + _horizon_finding(found, error))
    figure, alt = charts_accuracy.horizon_chart(found, published, error=error, dark=view.dark)
    st.plotly_chart(figure, key=f"horizon_{view.dark}", config=plots.CONFIG, alt=alt)
    lines = f"Lines: backtest at {text.level_inline(_level(view))} level."
    if len(published):
        first, last = published["first_week"].min(), published["last_week"].max()
        lines += (
            f" Dots: what was published, weeks of {text.week(first)} to {text.week(last)}; few weeks, so they jump."
        )
    else:
        lines += " Dots of what was published come when the first forecast week is over."
    st.caption(lines)


def _horizon_finding(found: pd.DataFrame, error: str) -> str:
    """Until which week ours is the better one."""
    wide = found[found["horizon_week"] > 0].pivot_table(index="horizon_week", columns="model", values=error)
    naives = [name for name in service.NAIVES if name in wide]
    if COMBINATION not in wide or not naives:
        return ""
    better = wide[COMBINATION] < wide[naives].min(axis=1)
    first, last = wide[COMBINATION].iloc[0], wide[COMBINATION].iloc[-1]
    grows = (
        f"The error goes from **{text.percent(first)}** one week ahead to **{text.percent(last)}** {wide.index[-1]} "
        "weeks ahead"
    )
    if better.all():
        return grows + "; it is below the better naive in every week."
    if not better.any():
        return grows + "; a naive forecast is as good in every week: use it with care."
    worse = [int(week) for week in wide.index[~better]]
    weeks = text.listing([str(week) for week in worse], 4)
    return grows + f"; in {'week' if len(worse) == 1 else 'weeks'} {weeks} a naive forecast is as good."


@calm
def bands(view: View) -> None:
    """Bands as promised beside bands as they held."""
    st.subheader("Bands", anchor=False)
    figures = reads.accuracy(view.run_id, _level(view))
    held = service.held_bands(figures)
    if held.empty:
        st.caption("How often the bands held is not measured yet; it takes a year and a half of data.")
        return
    kinds = {"days": "Days", "weeks": "Weeks"}
    present = [of for of in kinds if ((held["of"] == of) & (held["horizon_week"] > 0)).any()]
    of = present[0] if present else "days"
    if len(present) > 1:
        of = st.segmented_control(
            "Bands of", present, format_func=kinds.__getitem__, default=of, key="bands_of", required=True
        )
    lead = f"All series at {text.level_inline(_level(view))} level together. " if _figures(view)[1] else ""
    st.markdown(lead + _band_finding(held[held["of"] == of], of))
    figure, alt = charts_accuracy.coverage_chart(held[held["of"] == of], dark=view.dark)
    st.plotly_chart(figure, key=f"bands_{view.dark}", config=plots.CONFIG, alt=alt)
    everywhere = service.held_bands(reads.accuracy_all(view.run_id))
    everywhere = everywhere[(everywhere["of"] == of) & (everywhere["horizon_week"] == 0)]
    if everywhere["level"].nunique() > 1:
        shown = everywhere.pivot_table(index="level", columns="nominal", values="share", aggfunc="first")
        counts = everywhere.groupby("level")["n"].max()
        order = [level for level in text.LEVELS if level in shown.index]
        table = pd.DataFrame(
            {
                "Level": [text.level(level) for level in order],
                **{f"{text.percent(n, 0)} band held": [_cell(v) for v in shown.loc[order, n]] for n in shown},
                f"Past {of}": [text.full(counts[level]) for level in order],
            }
        )
        st.dataframe(
            table,
            hide_index=True,
            key="bands_by_level",
            height="content",
            column_config={name: st.column_config.TextColumn(alignment="right") for name in table.columns[1:]},
            alt="How often the bands held, by level.",
        )


def _band_finding(held: pd.DataFrame, of: str) -> str:
    whole = held[(held["horizon_week"] == 0) & (held["nominal"] == 0.8)]
    if whole.empty:
        return ""
    share, points = float(whole["share"].iloc[0]), float(whole["n"].iloc[0])
    lead = f"The 80 % band of {of} held **{text.percent(share)}** of {text.full(points)} past {of}"
    if abs(share - 0.8) <= service.COVERAGE_LIMIT:
        return lead + ": it can be planned with."
    if share < 0.8:
        return lead + ": it is too narrow, keep more in reserve than it says."
    return lead + ": it is too wide, so what it says is on the safe side."


@calm
def triangle(view: View) -> None:
    """Rows: when it was forecast. Columns: for which week. On top what was sold."""
    st.subheader("What was forecast when", anchor=False)
    found = reads.triangle(view.run_id, view.choice)
    column = "money" if view.unit == "money" else "mean"
    made = found.loc[found["made"] <= pd.Timestamp(view.last_day) + pd.Timedelta(7, "D"), "made"].drop_duplicates()
    if found.empty or found["actual"].notna().sum() == 0:
        st.caption(_triangle_from(found, view.last_day))
        return
    first = made.nlargest(TRIANGLE_ROWS).min()
    shown = found[(found["made"] >= first) & (found["week"] >= first)]
    weeks = sorted(shown["week"].unique())[: TRIANGLE_ROWS + TRIANGLE_AHEAD]
    shown = shown[shown["week"].isin(weeks)]
    price = _prices(shown)
    actual = shown.groupby("week")["actual"].first() * (price if view.unit == "money" else 1.0)
    cells = shown.pivot_table(index="made", columns="week", values=column, aggfunc="first").sort_index()
    st.markdown(_triangle_finding(shown))
    frame, styled = _heat(cells, actual, view)
    heads = {
        name: st.column_config.TextColumn(text.week_column(name), alignment="right", width=82, help=text.week(name))
        for name in frame.columns[1:]
    }
    st.dataframe(
        styled,
        hide_index=True,
        key="triangle",
        height="content",
        column_config={"Forecast before": st.column_config.TextColumn(pinned=True, width=128), **heads},
        alt="Forecasts by the Monday before which they were made and the week they were for, with actuals on top.",
    )
    st.caption(
        "The green row is what was sold. The stronger the red, the further a forecast was off; cells without colour "
        "wait for their week. "
        + ("Money is at the forecast's prices. " if view.unit == "money" else "")
        + "Read a column downwards to see a week's forecast change."
    )
    name = text.file_name("trendcast", "triangle", view.filters.level, view.last_day.isoformat())
    st.download_button(
        "CSV",
        lambda: tables.csv(found.drop(columns="money") if view.unit == "units" else found),
        file_name=f"{name}.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        key="triangle_csv",
    )


def _triangle_from(found: pd.DataFrame, last_day: dt.date) -> str:
    """From when on there is a triangle."""
    if found.empty:
        return "Nothing has been published for exactly these series yet. The next Monday's forecast begins the table."
    week = pd.Timestamp(found["week"].min())
    end = week + pd.Timedelta(6, "D")
    return (
        f"The first published forecast is for the week of {text.week(week)}; when the data reach {text.day(end)} it is "
        "set against what was sold, and each Monday adds a row."
    )


def _prices(shown: pd.DataFrame) -> pd.Series:
    """Money per unit of a week's newest forecast."""
    newest = shown.sort_values("lag_weeks").groupby("week").first()
    return newest["money"] / newest["mean"].where(newest["mean"] > 0)


def _triangle_finding(shown: pd.DataFrame) -> str:
    over = shown[shown["actual"] > 0].copy()
    over["off"] = (over["mean"] - over["actual"]).abs() / over["actual"]
    newest, oldest = over[over["lag_weeks"] == 1], over[over["lag_weeks"] >= 4]
    if newest.empty:
        return ""
    words = (
        f"One week before, forecasts of this selection were off by **{text.percent(newest['off'].mean())}** on average"
    )
    if len(oldest):
        words += f", four weeks and more before by **{text.percent(oldest['off'].mean())}**"
    worst = newest.loc[newest["off"].idxmax()]
    side = "high" if worst["mean"] > worst["actual"] else "low"
    return words + f"; the worst was the week of {text.week(worst['week'])}, {text.percent(worst['off'])} too {side}."


def _heat(cells: pd.DataFrame, actual: pd.Series, view: View) -> tuple[pd.DataFrame, Any]:
    """The table as words, and its colours."""
    heads = {week: f"{pd.Timestamp(week):%Y-%m-%d}" for week in cells.columns}
    rows = [["Sold", *(_number(actual.get(week)) for week in cells.columns)]]
    good = "background-color: rgba(74,222,128,0.22)" if view.dark else "background-color: #DCFCE7; color: #14532D"
    styles = [[good] * (len(cells.columns) + 1)]
    red = "248,113,113" if view.dark else "220,38,38"
    for made, line in cells[::-1].iterrows():
        rows.append([text.day(made).partition(" ")[2], *(_number(value) for value in line)])
        style = [""]
        for week, value in line.items():
            truth = actual.get(week, float("nan"))
            off = abs(value - truth) / truth if truth == truth and truth > 0 and value == value else float("nan")
            style.append("" if off != off else f"background-color: rgba({red},{min(0.55, 1.6 * off):.2f})")
        styles.append(style)
    frame = pd.DataFrame(rows, columns=["Forecast before", *heads.values()])
    colours = pd.DataFrame(styles, columns=frame.columns, index=frame.index)
    return frame, painted.once(frame.style.apply(lambda _: colours, axis=None))


def _number(value: Any) -> str:
    return "" if value is None or value != value else text.short(value)


@calm
def segments(view: View) -> None:
    """Each series of the selection: its error, which model was best there, and by how much it beats the naive."""
    st.subheader("By series", anchor=False)
    found = reads.segments(view.run_id, _judged(view))
    if found.empty:
        st.caption("The backtest of this selection is still to come; it takes half a year of data.")
        return
    st.markdown(_segment_finding(found))
    names = [name for name in ("product_category", "region", "store") if (found[name] != "").any()]
    labels = {"product_category": "Category", "region": "Region", "store": "Store"}
    top = found.head(SEGMENT_ROWS)
    error = scores.together(scores.reach(reads.accuracy(view.run_id, _level(view))))
    shown = pd.DataFrame(
        {
            **(
                {labels[n]: [text.plain(v) for v in top[n]] for n in names} or {"Series": ["All categories"] * len(top)}
            ),
            error: [text.percent(v) for v in top["wape"]],
            "Bias": [text.percent(v, sign=True) for v in top["bias"]],
            "Best model there": [text.member(v) for v in top["winner"]],
            "Its error": [text.percent(v) for v in top["winner_wape"]],
            "Better than naive": [text.percent(v, 0, sign=True) for v in top["margin"]],
            "Units per week": [text.short(v) for v in top["weekly_units"]],
        }
    )
    right = (error, "Bias", "Its error", "Better than naive", "Units per week")
    st.dataframe(
        shown,
        hide_index=True,
        key="segments",
        height="content" if len(shown) < 12 else 420,
        column_config={
            next(iter(shown)): st.column_config.TextColumn(pinned=True, width=180),
            **{name: st.column_config.TextColumn(alignment="right") for name in right},
        },
        alt=f"Accuracy of {len(shown)} series, the most units wrong first.",
    )
    if len(found) > len(top):
        st.caption(f"The {text.full(len(top))} with the most units wrong; narrow the filters for others.")


def _segment_finding(found: pd.DataFrame) -> str:
    beaten = found[found["naive_wape"].notna() & (found["wape"] >= found["naive_wape"])]
    total = text.count(len(found), "series", "series")
    if beaten.empty:
        return (
            f"Our forecast beats the better naive in all of {total}."
            if len(found) > 1
            else ("Our forecast beats the better naive here.")
        )
    if len(found) == 1:
        return "Here a naive forecast was as good as ours: look at the history before you trust it."
    worst = beaten.iloc[0]
    name = " in ".join(text.markdown(v) for v in (worst["product_category"], worst["store"] or worst["region"]) if v)
    return (
        f"In {text.full(len(beaten))} of {total} a naive forecast was as good as ours, first of all {name}: look at "
        "those before you trust them."
    )
