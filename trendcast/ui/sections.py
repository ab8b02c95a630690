"""The parts of the Forecasts page: tiles, chart, table, downloads, decomposition, accuracy and looks."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from trendcast.errors import TrendCastError
from trendcast.export import tables
from trendcast.services.review_parts import Link
from trendcast.services.review_rules import told
from trendcast.ui import demo, filters, inbox, looks, measures, plots, reads, scores, states, stock, text
from trendcast.ui.shell import View, link
from trendcast.ui.states import calm

GRAINS = {"week": "Weeks", "day": "Days"}


def headline(view: View) -> None:
    """What is on view, and the finding in one sentence."""
    st.header(filters.title(view.filters), anchor=False)
    st.markdown("#### " + text.sentence(reads.finding(*view.key)))


def tiles(view: View) -> None:
    """The numbers a weekly meeting starts with."""
    figures, measured = reads.kpis(*view.key), reads.series_accuracy(view.run_id, view.choice)
    grain = filters.chosen("by", GRAINS, "week")
    what = "units" if view.unit == "units" else "money"
    with st.grid(4, min_column_width=150, key="tiles"):
        weeks = text.count(figures.weeks, "week")
        ahead, before, earlier = (
            text.full_amount(value, view.unit) for value in (figures.ahead, figures.before, figures.last_year)
        )
        _tile(
            f"Next {weeks}",
            text.amount(figures.ahead, view.unit),
            figures.ahead,
            figures.last_year,
            "vs last year",
            f"Expected {what} of the {weeks} from {text.week(figures.first_week) if figures.weeks else text.NONE}: "
            f"{ahead}. The same weeks last year: {earlier}.",
        )
        _tile(
            f"Previous {weeks}",
            text.amount(figures.before, view.unit),
            figures.ahead,
            figures.before,
            "ahead",
            f"Actual of the last {weeks}: {before}. The arrow compares the {weeks} ahead with them.",
        )
        error, skill = measured.get("wape", {}).get(scores.OURS), measured.get("skill")
        reach = len(measured.get("by_week", ())) or 13
        rival = text.member(str(measured.get("best_naive"))).split(" (")[0].lower()
        st.metric(
            scores.together(reach),
            text.percent(error),
            delta=text.change(None if skill is None else -skill, "vs best naive", 0),
            delta_color="inverse",
            border=True,
            height="stretch",
            help=f"WAPE, weeks 1 to {reach} ahead: distance between forecast and actual as a share of sales, on past "
            f"weeks, forecast from the data before them. The best naive forecast is “{rival}”. "
            f"{text.count(int(measured.get('weeks', 0)), 'week')} of this selection, from "
            f"{text.count(int(measured.get('origins', 0)), 'starting point')}. Lower is better.",
        )
        held, spans = scores.held(measured, grain), GRAINS[grain].lower()
        cover = held.share80
        drifts = cover is not None and abs(cover - 0.8) > DRIFT
        level = text.level_inline(str(measured.get("level", view.choice.level)))
        st.metric(
            f"80{text.NARROW}% band, {spans}",
            text.percent(cover),
            delta=_drift(cover, level) if held.count else None,
            delta_color="orange" if drifts else "off",
            delta_arrow="off",
            border=True,
            height="stretch",
            help=f"How often the actual fell inside the 80 % band of {spans}: {text.full(held.count)} past {spans} at "
            "this level, measured on the newest starting points, with bands learnt before them; 80 % is right. "
            f"The 95 % band held {text.percent(held.share95)}.",
        )


DRIFT = 0.05  # a band that holds so much more or less than it says is called wide or narrow


def _drift(cover: float | None, level: str) -> str:
    if cover is None or abs(cover - 0.8) <= DRIFT:
        return level
    return f"{'too narrow' if cover < 0.8 else 'too wide'}, {level}"


def _tile(label: str, value: str, ahead: float | None, other: float | None, words: str, explain: str) -> None:
    change = (ahead - other) / other if _both(ahead, other) and other else None  # type: ignore[operator]
    st.metric(
        label,
        value,
        delta=text.change(change, words),
        delta_color="off",
        help=text.sentence(explain),
        border=True,
        height="stretch",
    )


def _both(a: Any, b: Any) -> bool:
    return all(isinstance(v, (int, float)) and np.isfinite(v) for v in (a, b))


def chart(view: View) -> str:
    """History and forecast, below it what to do and what was unusual; returns the grain chosen."""
    marks = reads.marks(view.run_id, view.choice)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader("History and forecast", anchor=False)
        grain = filters.own("by", GRAINS, "week", "Show by")
    truth = demo.truth_on()
    figure, alt = reads.forecast_figure(
        *view.key, grain, view.first, view.last, view.dark, marks=marks, with_truth=truth
    )
    st.plotly_chart(figure, key=f"chart_{view.dark}", config=plots.CONFIG, alt=alt)
    rows = reads.on_view(*view.key, grain, view.first, view.last)
    if grain == "day" and rows["future"].any() and not rows["mean"].notna().any():
        st.caption("Of a forecast this old only the weeks are kept: show it by weeks.")
    elif rows["future"].any() and not rows["low80"].notna().any():
        st.caption(
            "Bands of a sum of several series are shown by week only: daily bands do not add up."
            if grain == "day"
            else "There are no bands for this sum of series."
        )
    if truth:
        st.caption(
            "The truth is what customers of the made-up retailer wanted, also where shelves were empty. No model "
            + ("sees it." if view.unit == "units" else "sees it. It is known in units only.")
        )
    advice(view)
    unusual(view, marks)
    return grain


FEW = 3  # recommendations and anomalies below the chart


@calm
def advice(view: View) -> None:
    """What to do about the selection, most money first: the action in a line, why below it."""
    found = reads.recommendations(view.run_id, view.choice)
    stocked = stock.known(reads.advice(view.run_id, view.filters.category))
    st.subheader("What to do", anchor=False)
    with st.container(key="recommendations", gap="small"):
        if not found and stocked:
            st.caption("Nothing: stock and trend ask for no change.")
        for one in found[:FEW]:
            headline, why = told(str(one["sentence"]))
            money = "" if one["money"] is None else f" ({text.amount(one['money'], 'money')} at stake)"
            said = text.sentence(f"{headline[:1].upper()}{headline[1:]}{money}.")
            badges = "".join(f" :blue-badge[{text.markdown(tag)}]" for tag in one["tags"])
            with st.container(gap="xxsmall"):
                st.markdown(f"**{said}**{badges}")
                if why:
                    st.caption(text.sentence(why))
        ordering = any(one["kind"] == "stock" for one in found)
        if len(found) > FEW and not ordering:
            st.caption(f"And {text.count(len(found) - FEW, 'more')}.")
        if stocked:
            label = ("Order" if ordering else "See its stock") + " in Inventory"
            if ordering and len(found) > FEW:
                label = f"All {len(found)}: order in Inventory"
            link(view, Link("inventory"), label, icon=":material/arrow_forward:")
        if not stocked:
            trend = "" if found else "The trend asks for no change. "
            st.caption(f"{trend}No stock is loaded, so nothing can be said about orders.")
            link(view, Link("inventory"), "What to load", icon=":material/arrow_forward:")


@calm
def unusual(view: View, marks: tuple[measures.Mark, ...]) -> None:
    """The newest anomalies on view, the open ones first, each with the words, impact and day of its incident; and what
    is open elsewhere in the selection."""
    shown: dict[int, measures.Mark] = {}
    for mark in marks:
        if view.first <= mark.day <= view.last + dt.timedelta(days=6):
            shown.setdefault(mark.incident_id, mark)
    ordered = sorted(shown.values(), key=lambda one: (one.status == "RESOLVED", measures.RANK[one.impact]))
    st.subheader("Unusual days", anchor=False)
    frame = inbox.rows(view, inbox.Asked("all"))
    known = {int(row["incident_id"]): row for row in frame[frame["incident_id"].isin(shown)].to_dict("records")}
    with st.container(key="alerts", gap="small"):
        for mark in ordered[:FEW]:
            words, label = _incident_words(mark, known.get(mark.incident_id))
            with st.container(gap="xxsmall"):
                st.markdown(text.sentence(words.split(";")[0].rstrip(".") + "."))
                link(
                    view,
                    Link("anomaly-inbox", (("incident", str(mark.incident_id)),)),
                    label,
                    icon=":material/diamond:" if not label.startswith("Low") else ":material/change_history:",
                )
        if len(ordered) > FEW:
            st.caption(f"{len(ordered) - FEW} more are marked in the chart.")
        # The inbox is that of now: beside an earlier day it would say what nobody could know then.
        own = {mark.incident_id for mark in marks}
        below, wider = (0, 0) if view.filters.as_of else elsewhere(view, own)
        if not ordered or below or wider:
            st.caption(_elsewhere_words(bool(ordered), below, wider))
        if below or wider:
            link(view, Link("anomaly-inbox"), "Open in Anomalies", icon=":material/arrow_forward:")


def _incident_words(mark: measures.Mark, row: dict[str, Any] | None) -> tuple[str, str]:
    """What an incident says and how its link is labelled: its own impact and day, which may be those of a wider event
    than the mark, and its state once it is not simply open."""
    if row is None:  # beyond what one page of the inbox holds
        return mark.headline, f"{mark.impact.capitalize()}, {text.day_short(mark.day)}"
    label = f"{str(row['impact']).capitalize()}, {text.day_short(row.get('worst_day', row['day']))}"
    state = inbox.state_words(row)
    return str(row["headline"]), label if row["status"] == "NEW" and "," not in state else f"{label}, {state.lower()}"


def elsewhere(view: View, own: set[int]) -> tuple[int, int]:
    """How many open incidents the selection has beside its own: of series below it, and wider ones it is part of."""
    frame = inbox.rows(view, inbox.Asked())
    frame = frame[~frame["incident_id"].isin(own)]
    named = {name: frame[name].fillna("") != "" for name in ("product_category", "region", "store")}
    deep = named["product_category"].astype(int) + (named["region"] | named["store"]) + named["store"]
    level = view.choice.level
    here = ("category" in level) + ("region" in level or "store" in level) + ("store" in level)
    below = int((deep > here).sum())
    return below, len(frame) - below


def _elsewhere_words(own: bool, below: int, wider: int) -> str:
    open_ones = []
    if below:
        open_ones.append(f"{text.full(below)} open below it")
    if wider:
        open_ones.append(f"part of {text.count(wider, 'wider open incident')}")
    if own:
        return f"And {' and '.join(open_ones)}."
    if not open_ones:
        return "None on view."
    return f"None of this {'sum' if below else 'series'} itself on view; {', '.join(open_ones)}."


def table(view: View, grain: str) -> None:
    """Measures as rows, weeks as columns, and the downloads of the same rows."""
    rows = reads.on_view(*view.key, grain, view.first, view.last)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader("Numbers", anchor=False)
        shown = filters.own("span", {"near": "Around now", "all": "All weeks on view"}, "near", "Table shows")
    found = reads.numbers_table(*view.key, grain, view.first, view.last, shown == "near", view.dark)
    st.dataframe(
        found.styled,
        hide_index=True,
        column_config=found.config,
        height="content",
        key="measures",
        alt=f"Measures by {grain}; forecasts from {found.first}." if found.first else f"Measures by {grain}.",
    )
    _downloads(view, rows, grain)


def _downloads(view: View, rows: pd.DataFrame, grain: str) -> None:
    words = {**{k: " ".join(v) for k, v in filters.to_params(view.filters).items() if k in filters.LISTS}}
    name = text.file_name("trendcast", view.filters.level, *words.values(), view.unit, grain, view.last_day.isoformat())

    def about() -> dict[str, str]:
        return {
            "Level": text.level(view.filters.level),
            "Category": ", ".join(view.filters.category) or "all",
            "Region": ", ".join(view.filters.region) or "all",
            "Store": ", ".join(view.filters.store) or "all",
            "Measure": text.UNITS[view.unit],
            "Money": "units at the price of the day, summed from the finest series: the price of the sales (or their "
            "revenue per unit) in the past; ahead the planned price, or else that of the last 56 days"
            if view.unit == "money"
            else "not shown",
            "Data to": text.day(view.last_day),
            "Run": str(view.run_id),
            "Bands": "Low and High are the 80 % band (P10 to P90), P2.5 to P97.5 the 95 % band",
            "Accuracy": f"all series at {text.level_inline(view.choice.level)} level together",
            "Week": "a week runs from Monday to Sunday and is named by its Monday",
        }

    def workbook() -> bytes:
        sheets = {"Weeks" if grain == "week" else "Days": measures.export(rows, grain, view.unit)}
        found = reads.accuracy(view.run_id, view.choice.level)
        if len(found):
            sheets["Accuracy"] = scores.accuracy_table(found, raw=True)
        return tables.xlsx(sheets, about())

    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.download_button(
            "CSV",
            lambda: tables.csv(measures.export(rows, grain, view.unit)),
            file_name=f"{name}.csv",
            mime="text/csv",
            on_click="ignore",
            icon=":material/download:",
            key="csv",
        )
        st.download_button(
            "XLSX",
            workbook,
            file_name=f"{name}.xlsx",
            on_click="ignore",
            icon=":material/download:",
            key="xlsx",
            mime="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        )
        st.caption(f"All {len(rows)} {GRAINS[grain].lower()} on view, in full numbers, same filters.")


@calm
def decomposition(view: View, grain: str) -> None:
    """What the number is made of."""
    st.subheader("What the number is made of", anchor=False)
    found = reads.parts_figure(*view.key, grain, view.first, view.last, view.dark)
    if found is None:
        st.caption(f"The parts are shown for up to {reads.MANY} series at once; choose fewer names.")
        return
    figure, alt = found
    st.markdown(text.sentence(reads.made_of(*view.key)))
    st.plotly_chart(figure, key=f"parts_{view.dark}", config=plots.CONFIG, alt=alt)
    st.caption(
        "The parts add up to the actual (solid) and to the forecast (dotted). All effects share one scale; "
        "“rest” is what the model does not explain."
        + (" The days of the week cancel out over a week; they show by days." if grain == "week" else "")
    )


@calm
def accuracy(view: View) -> None:
    """How good the forecast was on past weeks, from the data before them, beside the naives everybody could make."""
    level = view.choice.level
    found = reads.accuracy(view.run_id, level)
    st.subheader("Measured accuracy", anchor=False)
    if found.empty:
        st.caption("The backtest of this run is still to come; the next run brings it.")
        return
    st.markdown(scores.accuracy_sentence(found, level))
    if view.choice.categories or view.choice.regions or view.choice.stores:
        st.caption(
            f"These are all series at {text.level_inline(level)} level together; the error on top of the page is that "
            "of your selection alone."
        )
    shown = reads.accuracy_table(view.run_id, level)
    st.dataframe(
        shown,
        hide_index=True,
        key="accuracy",
        height="content",
        alt="Accuracy by model.",
        column_config={
            "Model": st.column_config.TextColumn(pinned=True, width=210),
            **{name: st.column_config.TextColumn(alignment="right") for name in shown.columns[1:]},
        },
    )


@calm
def references(view: View, grain: str) -> None:
    """Looks at the one series on view by stock Prophet and statsmodels: jobs, kept with the run."""
    rows = reads.series(view.run_id, view.choice)
    st.subheader("A second opinion", anchor=False)
    if len(rows) != 1:
        st.caption("Stock Prophet and statsmodels look at one series at a time: choose a single one.")
        return
    series_id = int(rows["series_id"].iloc[0])
    st.caption("Other well-known models, fitted to this one series on request and kept with this run.")
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for kind, label in looks.KINDS.items():
            if reads.look(view.run_id, series_id, kind) is None:
                _look_button(view, series_id, kind, label)
    running = {k: s for k, s in st.session_state.get("looks", {}).items() if k[:2] == (view.run_id, series_id)}
    if any(reads.look(*key) is None for key in running):
        _follow(view, series_id)
    made = {kind: reads.look(view.run_id, series_id, kind) for kind in looks.KINDS}
    if any(made.values()):
        looks.show(view, grain, {kind: result for kind, result in made.items() if result})


def _look_button(view: View, series_id: int, kind: str, label: str) -> None:
    key = (view.run_id, series_id, kind)
    asked = st.session_state.setdefault("looks", {})
    if key in asked:
        return
    if st.button(f"Ask {label}", key=f"look_{kind}", disabled=view.away, icon=":material/query_stats:"):
        try:
            asked[key] = reads.enqueue("look", {"run_id": view.run_id, "series_id": series_id, "kind": kind})
        except TrendCastError as error:
            st.error(text.markdown(str(error), 400))
            return
        while len(asked) > 50:
            asked.pop(next(iter(asked)))
        st.rerun()


@st.fragment(run_every="1.5s")
@states.watched
def _follow(view: View, series_id: int) -> None:
    """The progress of the looks asked for; the page is drawn again when one is there."""
    asked = st.session_state.get("looks", {})
    for key, slot_id in list(asked.items()):
        run_id, series, kind = key
        if (run_id, series) != (view.run_id, series_id):
            continue
        if reads.look(*key) is not None:
            asked.pop(key, None)
            st.rerun()
        try:
            slot = reads.slot(slot_id)
        except TrendCastError as error:
            st.caption(text.markdown(str(error), 400))
            continue
        if slot.get("state") == "dead":
            st.error(f"{looks.KINDS[kind]}: " + text.markdown(slot.get("error") or "the job failed", 300))
            if st.button("Ask again", key=f"again_{kind}"):
                asked.pop(key, None)
                st.rerun()
            continue
        st.caption(looks.KINDS[kind])
        states.progress_line(slot)
