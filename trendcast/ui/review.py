"""The parts of the Review page: the finding, tiles, exceptions, risks, what moves, the summary and decisions."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
import streamlit as st

from trendcast import wording
from trendcast.services.review import volume
from trendcast.services.review_figures import AHEAD_WEEKS, OTHER, Mover, Scope
from trendcast.services.review_parts import Kpi, Link, Review, Risk
from trendcast.ui import charts_review, filters, plots, reads, stock, text
from trendcast.ui.shell import View, go, link
from trendcast.ui.states import calm

FIRST_RISKS = 5
ICONS = {
    "stock-out": ":material/production_quantity_limits:",
    "overstock": ":material/inventory_2:",
    "anomaly": ":material/notification_important:",
}
PLACES = {"Forecast": "forecasts", "Stock": "inventory", "Anomalies": "anomaly-inbox", "Accuracy": "accuracy"}
MANY = {"category": "categories", "region": "regions", "store": "stores"}


def read(view: View) -> Review:
    """The review of what the filters leave."""
    chosen = view.filters
    return reads.review(view.run_id, Scope(chosen.category, chosen.region, chosen.store), view.unit)


def headline(view: View, found: Review) -> None:
    """What is on view, what to do first, and what it all stands on."""
    st.header("Review" if _everything(view) else f"Review: {filters.title(view.filters)}", anchor=False)
    st.markdown("#### " + text.sentence(found.finding))
    head = found.header
    said = [text.count(head.rows, head.dimension, MANY[head.dimension])]
    if head.covered is not None:
        said.append(f"the 80 % bands held {text.percent(head.covered)} of {text.full(head.covered_weeks)} past weeks")
    if head.quarantined:
        said.append(f"{text.count(head.quarantined, 'row')} of the loads set aside")
    if view.filters.as_of:
        said.append("open anomalies, loads and decisions are those of now")
    st.caption(". ".join(one[:1].upper() + one[1:] for one in said) + ".")


def _everything(view: View) -> bool:
    return not (view.filters.category or view.filters.region or view.filters.store)


# --- tiles -----------------------------------------------------------------------------------------------------------


TITLES = {"forecasts": "Forecasts", "accuracy": "Accuracy", "inventory": "Inventory", "anomaly-inbox": "Anomalies"}


def tiles(view: View, found: Review) -> None:
    """Each figure with its level, lag and comparison; its link opens the page that explains it."""
    with st.grid(4, min_column_width=150, key="tiles"):
        for kpi in found.kpis:
            with st.container(border=True, gap="xsmall", height="stretch", key=f"tile_{kpi.name}"):
                _tile(kpi)
                link(view, kpi.link, TITLES[kpi.link.page], icon=":material/arrow_forward:")


_COLOURS: dict[int, Literal["inverse", "off", "normal"]] = {-1: "inverse", 0: "off", 1: "normal"}


def _tile(kpi: Kpi) -> None:
    against: Any = None
    if kpi.value is not None and kpi.against is not None:
        if kpi.kind == "share":
            points = 100 * (kpi.value - kpi.against)
            against = 0 if abs(points) < 0.05 else f"{'-' if points < 0 else '+'}{wording.fixed(abs(points), 1)} points"
        elif kpi.against:
            against = text.change(kpi.value / kpi.against - 1)
    same = against == 0
    # A telephone has no room for the level beside the name: it stands below, with what the figure is held against.
    name, _, level = kpi.label.partition(", ")
    st.metric(
        name,
        _value(kpi),
        delta="no change" if same else against,
        delta_color="off" if same else _COLOURS[kpi.better],
        delta_arrow="off" if same else "auto",
        help=text.sentence(kpi.basis),
        chart_data=list(kpi.line) if len(kpi.line) > 2 else None,
        chart_type="bar" if kpi.kind == "count" else "line",
        height="stretch",
    )
    said = [f"{level} level"] if level else []
    said += [kpi.against_words] if against is not None else []
    said += [kpi.note] if kpi.note else []
    if said:
        words = "; ".join(said)
        st.caption(text.sentence(words[:1].upper() + words[1:] + "."))


def _value(kpi: Kpi) -> str:
    if kpi.value is None:
        return text.NONE
    if kpi.kind == "share":
        return text.percent(kpi.value, sign=kpi.name == "bias")
    return text.full(kpi.value) if kpi.kind == "count" else text.amount(kpi.value, kpi.kind)


# --- exceptions ------------------------------------------------------------------------------------------------------


def exceptions(view: View, found: Review) -> None:
    """How often each rule is broken, each with one click to what broke it."""
    broken = [breach for breach in found.exceptions if breach.count]
    st.subheader("Exceptions", anchor=False)
    if broken:
        with st.grid(3, min_column_width=260, gap="small", key="exceptions"):
            for breach in broken:
                link(
                    view,
                    breach.link,
                    f"**{text.full(breach.count)}** {text.sentence(breach.label)}",
                    icon=":material/error:" if breach.high else ":material/flag:",
                    help=text.sentence(breach.rule)
                    + (" " + text.listing([text.markdown(name) for name in breach.names], 6) if breach.names else ""),
                )
    rules = {"late": "late data", "held": "held batches", "data": "incidents in the data",
                  "stockout": "orders due now", "anomalies": "high anomalies",
                  "accuracy": "worse accuracy", "bias": "bias", "coverage": "bands that do not hold",
                  "level_coverage": "bands that do not hold",
                  "revised": "jumps of the forecast", "new": "new series"}  # fmt: skip
    fine = [rules[breach.name] for breach in found.exceptions if not breach.count]
    if fine:
        st.caption(
            ("Checked, and nothing found: " if broken else "Nothing stands out. Checked: ") + ", ".join(fine) + "."
        )


# --- risks -----------------------------------------------------------------------------------------------------------


def risks(view: View, found: Review) -> None:
    """What costs most unless somebody acts: stock-outs, overstock and anomalies in one list."""
    st.subheader("Top risks", anchor=False)
    if not found.risks:
        st.caption("No stock-out, overstock or open anomaly is known here.")
        return
    total = sum(risk.money or 0.0 for risk in found.risks)
    st.markdown(
        text.sentence(
            f"{text.count(len(found.risks) + found.more_risks, 'risk')}, ranked by money"
            + (f"; those listed hold {wording.money(total)}" if total else "")
            + ". Work from the top: the first ones hold most of it."
        )
    )
    for risk in found.risks[:FIRST_RISKS]:
        _risk(view, risk)
    rest = found.risks[FIRST_RISKS:]
    if not rest:
        return
    more = st.expander(f"{text.count(len(rest), 'more risk')}", key="more_risks", on_change="rerun")
    if more.open:
        with more:
            _risk_table(view, rest)
            if found.more_risks:
                st.caption(f"{text.count(found.more_risks, 'smaller one')} are on the pages Inventory and Anomalies.")


def _risk(view: View, risk: Risk) -> None:
    left, right = st.columns([0.88, 0.12], gap="small", vertical_alignment="top")
    left.markdown(
        f"{ICONS[risk.kind]} **{text.sentence(_stake(risk))}** · {text.sentence(risk.headline.rstrip('.'))}."
        + (f"  \n:gray[{text.sentence(risk.why)}]" if risk.why else "")
    )
    with right:
        link(view, risk.link, "Open", icon=":material/arrow_forward:")


def _stake(risk: Risk) -> str:
    return text.amount(risk.money, "money") if risk.money is not None else wording.units(risk.units)


def _risk_table(view: View, rest: tuple[Risk, ...]) -> None:
    frame = pd.DataFrame(
        {
            "Open": ["Open"] * len(rest),
            "At stake": [_stake(risk) for risk in rest],
            "Risk": [risk.kind.capitalize() for risk in rest],
            "What": [text.plain(risk.headline) for risk in rest],
            "Order by": ["" if risk.order_by is None else text.day_short(risk.order_by) for risk in rest],
            "Why": [text.plain(risk.why) for risk in rest],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        key="risks",
        height="content",
        alt="Further risks, ranked by money.",
        column_config={
            "Open": st.column_config.ButtonColumn("", type="tertiary", key="open_risk", width=70),
            "What": st.column_config.TextColumn(width=420),
            "Why": st.column_config.TextColumn(width=420),
        },
    )
    clicked = st.session_state.get("open_risk")
    if clicked is not None:
        go(view, rest[clicked["row"]].link)


# --- what moves ------------------------------------------------------------------------------------------------------


@calm
def movement(view: View, found: Review) -> None:
    """Risers and fallers, and what changed since last week, side by side where there is room."""
    with st.grid(2, min_column_width=420, gap="large", key="moves"):
        with st.container(key="movement"):
            st.subheader("Risers and fallers", anchor=False)
            st.markdown(text.sentence(found.movement))
            if found.risers or found.fallers:
                figure, alt = charts_review.movement_chart(found.risers, found.fallers, unit=found.unit, dark=view.dark)
                st.plotly_chart(figure, key=f"movement_{view.dark}", config=plots.CONFIG, alt=alt)
        with st.container(key="change"):
            st.subheader("What changed since last week", anchor=False)
            st.markdown(text.sentence(found.change))
            whole = found.figures.whole
            if whole is not None and whole.causes:
                figure, alt = charts_review.causes_chart(whole, dark=view.dark)
                st.plotly_chart(figure, key=f"causes_{view.dark}", config=plots.CONFIG, alt=alt)
            _movers(found)


def _movers(found: Review) -> None:
    if not found.figures.movers:
        return
    rows = [
        {
            found.header.dimension.capitalize(): text.plain(mover.name),
            "A week ago": text.short(mover.published),
            "Now": text.short(mover.now),
            "Change": text.percent(mover.now / mover.published - 1, sign=True) if mover.published else text.NONE,
            "Mostly": _mostly(found, mover),
        }
        for mover in found.figures.movers[:5]
    ]
    frame = pd.DataFrame(rows)
    if not any(frame["Mostly"]):
        frame = frame.drop(columns="Mostly")
    st.dataframe(frame, hide_index=True, key="movers", height="content", alt="The forecasts that changed most.")


def _mostly(found: Review, mover: Mover) -> str:
    """The biggest cause. Where other models made last week's run, the sentence above says so, once."""
    causes = [one for one in mover.causes if found.figures.members_before is None or one[0] != OTHER]
    return max(causes, key=lambda cause: abs(cause[1]))[0] if causes else ""


# --- the summary over all categories ---------------------------------------------------------------------------------


def summary(view: View, found: Review) -> None:
    """A row per category with all that is known of it; sortable, with a search and links."""
    st.subheader(f"All {MANY[found.header.dimension]}", anchor=False)
    _summary(view)


@st.fragment
def _summary(view: View) -> None:
    found = read(view)
    dimension = found.header.dimension
    wanted = ""
    if len(found.figures.lines) > 8:
        wanted = st.text_input(
            "Search", key="find", placeholder=f"Search {MANY[dimension]}", label_visibility="collapsed", max_chars=100
        )
    names, styled = table(found, wanted.strip().lower())
    if not names:
        st.caption(f"No {dimension} has “{text.markdown(wanted, 40)}” in its name.")
        return
    st.dataframe(
        styled,
        hide_index=True,
        key="summary",
        placeholder=text.NONE,
        height="content" if len(names) <= 14 else 528,
        alt=f"A row per {dimension}: sales, forecast, accuracy, anomalies, stock and what to do.",
        column_config={
            dimension.capitalize(): st.column_config.TextColumn(pinned=True, width=150),
            "Open": st.column_config.ButtonColumn("Open", type="tertiary", key="open_row", width=70),
            "Recommendation": st.column_config.TextColumn(width=520),
        },
    )
    st.caption(
        f"Sales are sums over {AHEAD_WEEKS} whole weeks; the change is on the same weeks last year (on the last "
        f"{AHEAD_WEEKS} weeks where there is none); the error is the WAPE of forecasts published 1 week ahead."
    )
    clicked = st.session_state.get("open_row")
    if clicked is not None:
        go(view, Link(PLACES[clicked["label"]], ((dimension, names[clicked["row"]]),)))


def table(found: Review, wanted: str) -> tuple[list[str], Any]:
    """(names, styled frame) of the lines whose name contains ``wanted``, the largest forecast first. Figures stay
    numbers, so that they sort."""
    unit = found.unit
    rows, names = [], []
    lines = [
        (line, standing, volume(line, unit)) for line, standing in zip(found.figures.lines, found.standing, strict=True)
    ]
    lines.sort(key=lambda one: -np.nan_to_num(np.float64(one[2].ahead), nan=-1.0))
    for line, standing, sums in lines:
        if wanted and wanted not in line.name.lower():
            continue
        names.append(line.name)
        rows.append(
            {
                found.header.dimension.capitalize(): text.plain(line.name),
                "Open": list(PLACES) if found.header.dimension == "category" else ["Forecast", "Accuracy"],
                "Last 12 weeks": sums.recent,
                "Next 12 weeks": sums.ahead,
                "Change": sums.change,
                "Vs last week": sums.revision,
                "Error 1 week ahead": line.error,
                "80 % band held": line.covered,
                "Anomalies": standing.anomalies,
                "Stock": stock.WORDS.get(standing.stock, ""),
                "Recommendation": text.plain(standing.recommendation),
            }
        )
    frame = pd.DataFrame(rows)
    if frame.empty:
        return names, frame
    dull = [name for name in ("Stock", "Recommendation") if not any(frame[name])]
    dull += [name for name in ("Vs last week", "Error 1 week ahead", "80 % band held") if frame[name].isna().all()]
    frame = frame.drop(columns=dull).astype(
        {name: "float64" for name in ("Last 12 weeks", "Next 12 weeks", "Change") if name in frame}
    )
    formats: dict[str, Any] = {
        "Last 12 weeks": lambda v: text.amount(v, unit) if unit == "money" else text.short(v),
        "Next 12 weeks": lambda v: text.amount(v, unit) if unit == "money" else text.short(v),
        "Change": lambda v: text.percent(v, sign=True),
        "Vs last week": lambda v: text.percent(v, sign=True),
        "Error 1 week ahead": text.percent,
        "80 % band held": lambda v: text.percent(v, 0),
    }
    return names, frame.style.format({name: how for name, how in formats.items() if name in frame})


# --- decisions -------------------------------------------------------------------------------------------------------


def decisions(view: View, found: Review) -> None:
    """What was decided lately and whether it paid."""
    st.subheader("Last decisions", anchor=False)
    if not found.decisions:
        st.caption(
            "Nothing has been decided yet. Decisions on the Inventory page appear here, later with their outcome."
        )
        return
    told = found.outcomes
    st.markdown(
        text.sentence(
            f"Of {text.count(told.known, 'decision')} with an outcome, {told.paid} paid; all together brought "
            f"{wording.money(told.money)}. Open one on the Inventory page to see why."
            if told.known
            else "The outcome of these decisions is not known yet; it comes when their orders have arrived."
        )
    )
    frame = pd.DataFrame(
        {
            "Decided": [text.day_short(one.at) for one in found.decisions],
            "Category": [text.plain(one.category) for one in found.decisions],
            "Decision": [stock.DECIDED.get(one.decision, one.decision) for one in found.decisions],
            "Outcome": [text.plain(one.outcome) or "Not known yet" for one in found.decisions],
            "Paid": [
                "" if one.outcome_money is None else text.amount(one.outcome_money, "money") for one in found.decisions
            ],
            "Advice": [text.plain(one.sentence) for one in found.decisions],
            "Reason": [text.plain(one.reason) for one in found.decisions],
            "By": [text.plain(one.owner) for one in found.decisions],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        key="decisions",
        height="content",
        alt="The last decisions and their outcomes.",
        column_config={
            "Category": st.column_config.TextColumn(pinned=True),
            "Outcome": st.column_config.TextColumn(width=380),
            "Advice": st.column_config.TextColumn(width=380),
        },
    )
