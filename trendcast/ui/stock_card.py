"""One category's card: the advice, its gauge and projection, what changes with other parameters, and the decision."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from trendcast import wording
from trendcast.errors import NotFound, TrendCastError
from trendcast.services import chart_findings
from trendcast.services.recommend import ORDERS
from trendcast.ui import charts_stock, inbox, reads, stock, text
from trendcast.ui.plots import CONFIG
from trendcast.ui.shell import View, person

HISTORY = 182  # days
REASONS = {
    "promotion": "Promotion not in the data",
    "competitor": "Competitor",
    "price": "Price",
    "product": "New or ended product",
    "supplier": "Supplier",
    "event": "Event or weather",
    "data": "Data error",
    "target": "Target",
    "other": "Something else",
}
_SAID, _CHANGES = "stock_said", "stock_changes"


def show(view: View, frame: pd.DataFrame, name: str) -> None:
    """The whole card. ``frame``: the advice as listed, for the way to the one before and after."""
    names = [str(v) for v in frame["product_category"]]
    row = frame.iloc[names.index(name)].to_dict()
    _steps(names, names.index(name))
    colours = {"order_now": "red", "order_soon": "orange", "excess": "violet", "ok": "green"}
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="card_badges"):
        st.badge(stock.STATUSES.get(row["status"], row["status"]), color=colours.get(row["status"], "gray"))  # type: ignore[arg-type]
        for tag in row["tags"]:
            st.badge(text.markdown(tag), color="blue")
        if not wording.missing(row["money"]):
            st.caption(f"{text.markdown(stock.stake(row))} at stake")
    st.header(text.markdown(name), anchor=False)
    said = stock.parts(reads.stock_finding_of(view.run_id, name), row["tags"])
    st.markdown("#### " + text.sentence(said[0]))
    if said[1:]:
        st.markdown(text.sentence(" ".join(said[1:])))
    _decision(view, row)
    if row["status"] == "unknown":
        stock.nothing(view)
        return
    left, right = st.columns([5, 4], gap="large")
    with left:
        _gauge(view, row)
        _assumed(row)
    with right:
        _figures(row)
    _projection(view, row)
    _what_if(view, row)
    _log(name)


def _steps(names: list[str], at: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="card_steps"):
        st.button("Inventory", icon=":material/arrow_back:", on_click=stock.close, key="card_back", shortcut="Esc")
        for label, icon, step, key in (("Previous", "expand_less", -1, "K"), ("Next", "expand_more", 1, "J")):
            there = 0 <= at + step < len(names)
            st.button(
                label,
                icon=f":material/{icon}:",
                disabled=not there,
                shortcut=key,
                on_click=stock.open_item,
                args=(names[at + step] if there else names[at],),
                key=f"card_{label.lower()}",
            )
        st.caption(f"{at + 1} of {len(names)}")


# --- the decision ---------------------------------------------------------------------------------------------------


def _last_decision(view: View, name: str) -> dict[str, Any] | None:
    frame = reads.decisions((name,))
    frame = frame[(frame["run_id"] == view.run_id) & (frame["product_category"] == name)]
    return dict(frame.sort_values("decided_at").iloc[-1]) if len(frame) else None


def _decision(view: View, row: dict[str, Any]) -> None:
    """Accept, change or reject, and what was decided already."""
    trouble = st.session_state.get(_SAID)
    if trouble:
        st.warning(trouble, icon=":material/error:")
    before = _last_decision(view, str(row["product_category"]))
    replaces = int(before["id"]) if before else None
    if before:
        st.markdown(
            f":material/gavel: {stock.DECIDED.get(before['decision'], text.markdown(before['decision']))}"
            f"{_value_words(before)} by {text.markdown(before['decided_by'])}, {text.moment(before['decided_at'])}."
        )
    if row["status"] == "unknown":
        return
    off = view.locked or view.filters.as_of is not None
    key = f"card_{view.run_id}_{replaces or 0}_{row['product_category']}"  # a new decision closes the forms
    with st.container(horizontal=True, vertical_alignment="center", key="card_decide"):
        st.button(
            "Accept",
            icon=":material/check:",
            type="secondary" if before else "primary",
            disabled=off,
            on_click=_decide,
            args=(view.run_id, row, "accept", replaces, key),
            key="card_accept",
            help="Take it as advised. What came of it is filled in by itself once the goods could have arrived.",
        )
        with (
            st.popover("Change", icon=":material/edit:", disabled=off, key=f"{key}_change"),
            st.form(f"{key}_change_form", border=False),
        ):
            st.number_input(
                f"Quantity ({text.plain(text.measure_inline('units'))})",
                min_value=0.0,
                value=float(np.nan_to_num(row["order_quantity"])),
                step=1.0,
                format="%.0f",
                key=f"{key}_value",
            )
            st.date_input("Order by", value=_date(row["order_by"]), format="YYYY-MM-DD", key=f"{key}_due")
            _reason(key, "modify")
            st.form_submit_button(
                "Change",
                type="primary",
                on_click=_decide,
                args=(view.run_id, row, "modify", replaces, key),
                key=f"{key}_change_do",
            )
        with (
            st.popover("Reject", icon=":material/close:", disabled=off, key=f"{key}_reject"),
            st.form(f"{key}_reject_form", border=False),
        ):
            _reason(key, "reject")
            st.form_submit_button(
                "Reject",
                type="primary",
                on_click=_decide,
                args=(view.run_id, row, "reject", replaces, key),
                key=f"{key}_reject_do",
            )
        if before and before["decision"] != "defer":
            st.button(
                "Undo",
                icon=":material/undo:",
                disabled=off,
                on_click=_decide,
                args=(view.run_id, row, "defer", replaces, key),
                key="card_undo",
                help="Take the decision back: it is noted, and the advice waits for one again.",
            )


def _value_words(before: dict[str, Any]) -> str:
    if before["decision"] != "modify" or wording.missing(before["value"]):
        return ""
    return f" to {text.markdown(wording.units(float(before['value'])))}"


def _reason(key: str, decision: str) -> None:
    st.selectbox("Reason", list(REASONS), format_func=REASONS.__getitem__, index=None, key=f"{key}_{decision}_code")
    st.text_input("In a few words", key=f"{key}_{decision}_reason", max_chars=500)


def _date(value: Any) -> dt.date | None:
    return None if value is None or value != value else pd.Timestamp(value).date()


def _decide(run_id: int, row: dict[str, Any], decision: str, replaces: int | None, key: str) -> None:
    """Write the decision; a callback, so that the page is drawn with it."""
    state = st.session_state
    reason = str(state.get(f"{key}_{decision}_reason") or "").strip()
    code = state.get(f"{key}_{decision}_code")
    if decision == "defer":
        reason = "Decision taken back"
    if decision != "accept" and not (code or reason):
        state[_SAID] = "Choose a reason or write one: it is what makes the log worth reading."
        return
    due = state.get(f"{key}_due") if decision == "modify" else _date(row["order_by"])
    value = state.get(f"{key}_value") if decision == "modify" else None
    try:
        reads.decide(
            run_id=run_id,
            product_category=str(row["product_category"]),
            decision=decision,
            recommendation=advised(row),
            value=None if value is None else float(value),
            reason_code=code,
            reason=reason,
            due_on=due,
            who=person(),
            replaces=replaces,
        )
    except TrendCastError as error:
        state[_SAID] = text.sentence(error)
        return
    state.pop(_SAID, None)


def advised(row: dict[str, Any]) -> dict[str, Any]:
    """What was advised, as plain values, so that the log can say what a decision was about."""
    due = _date(row["order_by"])
    return {
        "sentence": str(row["sentence"]),
        "status": str(row["status"]),
        "order_quantity": float(np.nan_to_num(row["order_quantity"])),
        "order_by": due.isoformat() if due else None,
        "money": None if wording.missing(row["money"]) else float(row["money"]),
        "tags": [str(tag) for tag in row["tags"]],
    }


# --- the figures ----------------------------------------------------------------------------------------------------


def _gauge(view: View, row: dict[str, Any]) -> None:
    st.subheader("Stock against what it should be", anchor=False)
    ahead = row.get("stock_ahead")
    quantity = row.get("lot")
    if wording.missing(ahead) or wording.missing(quantity) or wording.missing(row["on_hand"]):
        st.caption("Not enough is known to draw it.")
        return
    drawn = {
        "now": float(row["on_hand"]),
        "ahead": float(ahead),  # type: ignore[arg-type]
        "safety": float(row["safety_stock"]),
        "quantity": float(quantity),  # type: ignore[arg-type]
        "lead_time_days": float(row["lead_time_days"]),
    }
    lot = LOTS.get(str(row.get("lot_source")), "usual order")
    left = row.get("order_by_days") if row["status"] in ORDERS else None
    order_in = None if wording.missing(left) else float(left)  # type: ignore[arg-type]
    st.markdown(text.sentence(chart_findings.gauge(**drawn, lot=lot, order_in=order_in)))
    figure, alt = charts_stock.gauge_chart(**drawn, lot=lot, dark=view.dark)
    st.plotly_chart(figure, key=f"gauge_{view.dark}", config=CONFIG, alt=alt)
    st.caption("The lower of the two arrows counts: in the hatched part the stock is thinner than it should be.")


# What the quantity of the gauge is, by where it is from.
LOTS = {"given": "order size given", "economic": "economic order", "assumed": "order of two weeks"}

FIGURES = (
    ("On hand", "on_hand", "units"),
    ("On order", "on_order", "units"),
    ("Lead time", "lead_time_days", "days"),
    ("Demand until an order arrives", "demand_mean", "units"),
    ("Safety stock", "safety_stock", "units"),
    ("Reorder point advised", "reorder_point", "units"),
    ("Your reorder point", "reorder_point_now", "units"),
    ("Cover", "cover_days", "days"),
    ("Chance of a stock-out", "p_stockout", "chance"),
    ("Chance with the order", "p_stockout_with_order", "chance"),
    ("Lost margin without it", "lost_money", "money"),
    ("Excess, at its cost", "excess_money", "money"),
)


def written(value: Any, kind: str) -> str:
    """A figure of the card in words."""
    if wording.missing(value):
        return text.NONE
    number = float(value)
    if kind == "money":
        return wording.money(number)
    if kind == "days":
        return stock.days(number)
    if kind == "chance":  # never none and never certain: nobody can be so sure
        edge = f"under 1{text.NARROW}%" if number < 0.005 else f"over 99{text.NARROW}%" if number > 0.995 else ""
        return edge or text.percent(number, 0)
    return text.full(round(number))


def _figures(row: dict[str, Any]) -> None:
    st.subheader("Figures", anchor=False)
    kept = FIGURES if row["status"] in ORDERS else [one for one in FIGURES if one[1] != "p_stockout_with_order"]
    shown = pd.DataFrame(
        [(label, written(row.get(column), kind)) for label, column, kind in kept], columns=["What", "How much"]
    )
    shown = shown[shown["How much"] != text.NONE]
    st.dataframe(
        shown,
        hide_index=True,
        height="content",
        key="card_figures",
        column_config={"How much": st.column_config.TextColumn(alignment="right", width=110)},
        alt="The figures behind the advice.",
    )


def _projection(view: View, row: dict[str, Any]) -> None:
    st.subheader("Stock as it was and as it is expected", anchor=False)
    name = str(row["product_category"])
    weeks = reads.projection(view.run_id, name)
    if weeks.empty:
        st.caption("There is no projection of this category.")
        return
    try:
        history = reads.stock_history(view.run_id, name, HISTORY)
    except NotFound:
        history = pd.DataFrame(columns=["date_id", "stock_level", "reorder_point", "stockout", "receipts"])
    gone = row.get("out_days")
    out = None if wording.missing(gone) else view.last_day + dt.timedelta(days=1 + int(gone))  # type: ignore[arg-type]
    st.markdown(text.sentence(chart_findings.projection(weeks, out)))
    point = row.get("reorder_point")
    figure, alt = charts_stock.projection_chart(
        weeks,
        history,
        reorder_point=np.nan if wording.missing(point) else float(point),  # type: ignore[arg-type]
        measure=text.plotly(text.UNITS["units"]),
        dark=view.dark,
    )
    st.plotly_chart(figure, key=f"projection_{view.dark}", config=CONFIG, alt=alt)
    chance = written(row.get("p_stockout"), "chance")
    if row["status"] in ORDERS:
        st.caption(
            "Solid is what was, dashed is expected without a new order, dash and dot with the one advised. "
            f"The chance of a stock-out without it is {chance}, with it "
            f"{written(row.get('p_stockout_with_order'), 'chance')}."
        )
    else:
        st.caption(
            "Solid is what was, dashed is expected without a new order. The chance of a stock-out before an order of "
            f"next week could arrive is {chance}."
        )


# --- other parameters -----------------------------------------------------------------------------------------------

EFFECTS = (
    ("Reorder point", "reorder_point", "units"),
    ("Safety stock", "safety_stock", "units"),
    ("Order quantity", "order_quantity", "units"),
    ("Order by", "order_by", "date"),
    ("Chance of a stock-out without it", "p_stockout", "chance"),
    ("Chance with it", "p_stockout_with_order", "chance"),
    ("Expected lost margin without it", "lost_money", "money"),
    ("Carrying cost of the order, a month", "carrying_cost_month_of_order", "money"),
    ("Excess", "excess_units", "units"),
)


def _what_if(view: View, row: dict[str, Any]) -> None:
    """Change a parameter, recalculate, see the effect; nothing is stored."""
    st.subheader("What if a parameter were different", anchor=False)
    name = str(row["product_category"])
    service = float(row["target_service"]) if not wording.missing(row["target_service"]) else 0.95
    cost = None if wording.missing(row["unit_cost"]) else round(float(row["unit_cost"]), 4)
    moq = _given(view, name).get("moq")
    base = {"target_service": round(100 * service, 1), "lead_time_factor": 1.0, "moq": moq, "unit_cost": cost}
    key = f"if_{view.run_id}_{name}"
    with st.form(f"{key}_form"):
        with st.grid(4, min_column_width=150, key="card_form"):
            st.number_input(
                "Target service (%)",
                50.0,
                99.9,
                base["target_service"],
                0.5,
                format="%.1f",
                key=f"{key}_target_service",
                help="The share of order cycles without a stock-out that is aimed at.",
            )
            st.number_input(
                "Lead time, times",
                0.25,
                4.0,
                1.0,
                0.25,
                key=f"{key}_lead_time_factor",
                help="2 means that every delivery takes twice as long.",
            )
            st.number_input("Minimum order", 0.0, None, moq, 10.0, format="%.0f", key=f"{key}_moq", placeholder="none")
            st.number_input(
                "Unit cost", 0.0, None, cost, 0.1, format="%.2f", key=f"{key}_unit_cost", placeholder="not known"
            )
        st.form_submit_button(
            "Recalculate", icon=":material/calculate:", on_click=_ask, args=(key, base), key=f"{key}_do"
        )
    changes = st.session_state.get(_CHANGES, {}).get(key, ())
    if not changes:
        st.caption(
            "Nothing is stored here: it shows what the advice would be. To keep a value, load it with the item "
            "parameters."
        )
        return
    try:
        other = reads.recalculated(view.run_id, name, changes)
    except TrendCastError as error:
        st.warning(text.sentence(error))
        return
    _effect(row, other)


def _given(view: View, name: str) -> dict[str, Any]:
    """The parameters the advice was made with."""
    try:
        return dict(reads.recalculated(view.run_id, name, ()).get("parameters") or {})
    except TrendCastError:
        return {}


def _ask(key: str, base: dict[str, float | None]) -> None:
    """Keep which parameters differ from the present ones."""
    changes = []
    for name, present in base.items():
        value = st.session_state.get(f"{key}_{name}")
        if value is None or (present is not None and abs(value - present) < 1e-9) or (present is None and value == 0):
            continue
        changes.append((name, value / 100 if name == "target_service" else float(value)))
    st.session_state[_CHANGES] = {key: tuple(changes)}


def effects(row: dict[str, Any], other: dict[str, Any]) -> pd.DataFrame:
    """What, now, then: the figures that the parameters move."""
    rows = []
    for label, column, kind in EFFECTS:
        if kind == "date":
            pair = [stock.day(_date(one.get(column))) for one in (row, other)]
        else:
            pair = [written(one.get(column), kind) for one in (row, other)]
        if pair != [text.NONE, text.NONE]:
            rows.append((label, *pair))
    return pd.DataFrame(rows, columns=["What", "Now", "Then"])


def _effect(row: dict[str, Any], other: dict[str, Any]) -> None:
    said = stock.parts(other["sentence"], other["tags"])
    st.markdown("**" + text.sentence(said[0]) + "** " + text.sentence(" ".join(said[1:])))
    shown = effects(row, other)
    st.dataframe(
        shown,
        hide_index=True,
        height="content",
        key="card_effect",
        column_config={n: st.column_config.TextColumn(alignment="right", width=130) for n in ("Now", "Then")},
        alt="What the other parameters change.",
    )
    held, weeks = other.get("realised_service"), other.get("realised_weeks")
    if not wording.missing(held) and not wording.missing(weeks) and int(weeks) > 0:  # type: ignore[arg-type]
        st.caption(
            f"Aimed at {text.percent(other.get('target_service'))}; a reorder point set so would have held in "
            f"{text.percent(held)} of the last {text.count(int(weeks), 'week')}."  # type: ignore[arg-type]
        )


def _assumed(row: dict[str, Any]) -> None:
    if len(row["assumed"]):
        st.caption("Assumed, because nobody gave it: " + "; ".join(text.markdown(v, 160) for v in row["assumed"]) + ".")
    held, weeks = row.get("realised_service"), row.get("realised_weeks")
    told = "Such reorder points held" in row["sentence"]
    if not told and not wording.missing(held) and not wording.missing(weeks) and int(weeks) > 0:  # type: ignore[arg-type]
        st.caption(
            f"Measured: reorder points set like this one held in {text.percent(held)} of the last "
            f"{text.count(int(weeks), 'week')} (aim {text.percent(row['target_service'])})."  # type: ignore[arg-type]
        )


def _log(name: str) -> None:
    st.subheader("Decisions", anchor=False)
    frame = reads.decisions((name,))
    if frame.empty:
        st.caption("Nothing has been decided on this category yet.")
        return
    shown = pd.DataFrame(
        {
            "When": [text.moment(v) for v in frame["decided_at"]],
            "Decision": [stock.DECIDED.get(v, text.plain(v)) for v in frame["decision"]],
            "Quantity": [stock.quantity(v) for v in frame["value"]],
            "Advised": [text.plain(stock.parts(inbox.said(v))[0]) for v in frame["sentence"]],
            "Reason": [_reason_words(row) for _, row in frame.iterrows()],
            "What came of it": [inbox.said(v) or "still open" for v in frame["outcome"]],
            "By": [text.plain(v) for v in frame["decided_by"]],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        height="content" if len(shown) < 8 else 320,
        row_height=inbox.ROW + 16,
        key="card_log",
        column_config={
            "When": st.column_config.TextColumn(width=110),
            "Decision": st.column_config.TextColumn(width=90),
            "Quantity": st.column_config.TextColumn(width=86, alignment="right"),
            "Advised": st.column_config.TextColumn(width=180),
            "Reason": st.column_config.TextColumn(width=150),
            "What came of it": st.column_config.TextColumn(width=340),
            "By": st.column_config.TextColumn(width=110),
        },
        alt=f"{len(shown)} decisions, the newest first.",
    )


def _reason_words(row: Any) -> str:
    code = inbox.said(row["reason_code"])
    parts = [REASONS.get(code, code.replace("_", " ").capitalize()), inbox.said(row["reason"])]
    return ": ".join(part for part in parts if part) or text.NONE
