"""The list of the Inventory page: what to order by when, what costs too much, ranked by money."""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from trendcast import wording
from trendcast.export import tables
from trendcast.services.recommend import is_placed
from trendcast.ui import inbox, painted, reads, text
from trendcast.ui.shell import View

# In the order of the list: what needs a decision comes first.
WORDS = {
    "order_now": "Order now",
    "order_soon": "Order soon",
    "excess": "Excess",
    "decided": "Decided",  # an order that was accepted or changed: nothing is left to do
    "ok": "OK",
    "unknown": "Unknown",
}
SIGNS = {"order_now": "▲", "order_soon": "△", "excess": "■", "decided": "✓", "ok": "●", "unknown": "○"}
STATUSES = {name: f"{SIGNS[name]} {words}" for name, words in WORDS.items()}
COLOURS: dict[str, tuple[str, str]] = {
    "order_now": ("#DC2626", "#F87171"),
    "order_soon": ("#B45309", "#FBBF24"),
    "excess": ("#6D28D9", "#A78BFA"),
    "ok": ("#15803D", "#4ADE80"),
}
DECIDED = {"accept": "Accepted", "modify": "Changed", "reject": "Rejected", "defer": "Deferred"}
TEMPLATES = {
    "inventory_daily": (
        "date_id",
        "product_category",
        "stock_level",
        "reorder_point",
        "lead_time_days",
        "stockout_flag",
    ),
    "purchase_orders": (
        "po_id",
        "product_category",
        "quantity",
        "ordered_on",
        "due_on",
        "received_on",
        "received_quantity",
    ),
    "item_params": (
        "product_category",
        "unit_cost",
        "holding_rate",
        "order_cost",
        "moq",
        "order_multiple",
        "max_stock",
        "shelf_life_days",
        "target_service",
    ),
}
_KEY, _WRITTEN, _TURN = "stock_status", "stock_written", "stock_turn"


# --- what is on view ---------------------------------------------------------------------------------------------


def rows(view: View) -> pd.DataFrame:
    """The advice of the run for the categories of the filter bar, what needs a decision first, then by money. Its
    ``state`` is the status, or 'decided' of an order that is decided on."""
    frame = reads.advice(view.run_id, view.filters.category)
    placed = is_placed(frame, reads.settled(view.run_id))
    frame = frame.assign(state=frame["status"].mask(placed, "decided"))
    order = list(STATUSES)
    key = frame["state"].map(lambda v: order.index(v) if v in order else len(order))
    return frame.assign(_order=key).sort_values(["_order", "rank"], kind="stable").drop(columns="_order")


def known(frame: pd.DataFrame) -> bool:
    """Whether anything at all is known of the stock."""
    return bool(len(frame)) and bool((frame["status"] != "unknown").any() or frame["last_stock_day"].notna().any())


def money(value: Any) -> str:
    return text.NONE if wording.missing(value) else wording.money(float(value))


def stake(row: Any) -> str:
    """The money at stake of a category, or the units it may lose where there are no prices."""
    if not wording.missing(row["money"]):
        return wording.money(float(row["money"]))
    units = row["excess_units"] if row["status"] == "excess" else row["lost_units"]
    return text.NONE if wording.missing(units) else wording.units(float(units))


def days(value: Any) -> str:
    return text.NONE if wording.missing(value) else text.count(int(min(round(float(value)), 999)), "day")


def day(value: Any) -> str:
    return text.NONE if value is None or value != value else text.day_short(value)


def quantity(value: Any) -> str:
    return text.full(float(value)) if not wording.missing(value) and float(value) > 0 else text.NONE


def parts(sentence: str, tags: Sequence[str] = ()) -> list[str]:
    """The sentences of an advice, without the tags in front of them: those stand beside it."""
    lead = f"{', '.join(tags)}: " if len(tags) else ""
    said = sentence.removeprefix(lead) if lead else re.sub(r"^(?:[A-Z]{4,}(?: [A-Z]{4,})?(?:, |: ))+", "", sentence)
    return re.split(r"(?<=[.!?]) (?=[A-Z])", said)


def why(row: Any) -> str:
    """What a line of the list says: of an order what happens without it, the quantity and day have their columns."""
    said = parts(row["sentence"], row["tags"])
    return " ".join(said[1:3] if row["status"].startswith("order") and len(said) > 1 else said[:2])


def table(frame: pd.DataFrame, decided: Mapping[str, str]) -> pd.DataFrame:
    """The list as it is shown. ``decided``: category -> what was decided on this run's advice."""
    found = [row for _, row in frame.iterrows()]
    return pd.DataFrame(
        {
            "Status": [STATUSES.get(row["state"], row["state"]) for row in found],
            "Category": [text.plain(row["product_category"]) for row in found],
            "Order": [quantity(row["order_quantity"]) for row in found],
            "By": [
                day(row["order_by"]) if row["status"] in ("order_now", "order_soon") else text.NONE for row in found
            ],
            "At stake": [stake(row) for row in found],
            "Decision": [decided.get(str(row["product_category"]), text.NONE) for row in found],
            "Why": [text.plain(why(row)) for row in found],
            "Cover": [days(row["cover_days"]) for row in found],
            "On hand": [text.full(_float(row["on_hand"])) for row in found],
            "On order": [text.full(_float(row["on_order"])) for row in found],
            "Tags": [", ".join(row["tags"]).capitalize() or text.NONE for row in found],
        }
    )


def _float(value: Any) -> float | None:
    return None if wording.missing(value) else float(value)


def export(frame: pd.DataFrame, decided: Mapping[str, str]) -> pd.DataFrame:
    """The same rows in full numbers, for CSV and workbook."""
    columns = {
        "Order quantity": "order_quantity",
        "Money at stake": "money",
        "On hand": "on_hand",
        "On order": "on_order",
        "Cover (days)": "cover_days",
        "Lead time (days)": "lead_time_days",
        "Reorder point now": "reorder_point_now",
        "Reorder point advised": "reorder_point",
        "Safety stock": "safety_stock",
        "Chance of a stock-out %": "p_stockout",
        "Chance with the order %": "p_stockout_with_order",
        "Expected lost units": "lost_units",
        "Excess units": "excess_units",
        "Stock value": "stock_value",
        "Carrying cost a year": "carrying_cost_year",
        "Target service %": "target_service",
        "Realised service %": "realised_service",
    }
    out = pd.DataFrame({"Category": [str(v) for v in frame["product_category"]]})
    out["Status"] = [WORDS.get(v, v) for v in frame["status"]]
    out["Order by"] = pd.to_datetime(frame["order_by"]).to_numpy()
    for label, column in columns.items():
        out[label] = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float)
    out["Why"] = [str(v) for v in frame["sentence"]]
    out["Tags"] = [", ".join(v) for v in frame["tags"]]
    out["Assumed"] = [", ".join(v) for v in frame["assumed"]]
    out["Decision"] = [decided.get(str(v), "") for v in frame["product_category"]]
    return out


def decided(view: View) -> dict[str, str]:
    """Category -> what was decided last on this run's advice."""
    frame = reads.decisions(view.filters.category)
    frame = frame[(frame["run_id"] == view.run_id) & (frame["region"].fillna("") == "")]
    newest = frame.sort_values("decided_at").drop_duplicates("product_category", keep="last")
    return {
        str(
            row["product_category"]
        ): f"{DECIDED.get(row['decision'], str(row['decision']))}, {text.plain(row['decided_by'])}"
        for _, row in newest.iterrows()
    }


# --- the page ------------------------------------------------------------------------------------------------------


def finding(view: View) -> None:
    st.header("Inventory", anchor=False)
    st.markdown("#### " + text.sentence(reads.stock_finding(view.run_id)))


def scope(view: View) -> None:
    """What the shared filters mean here."""
    chosen = view.filters
    if chosen.region or chosen.store:
        st.caption("Stock is per category: the filters for region and store change nothing on this page.")
    if chosen.as_of:
        st.caption(
            "An earlier day is on view: this is what was advised then. Decisions are taken on the newest advice."
        )


def tiles(view: View) -> None:
    """The retailer's stock in six figures."""
    facts = reads.stock_summary(view.run_id)
    now, before = facts.get("stockout_rate_13w"), facts.get("stockout_rate_before")
    open_only = "What was accepted or changed is not counted."
    with st.grid(6, min_column_width=140, key="stock_tiles"):
        for name, label, words in (
            ("order_now", "Order now", f"Categories whose order is due today: later, it comes too late. {open_only}"),
            ("order_soon", "Order soon", f"Categories whose order falls due within the next seven days. {open_only}"),
            ("excess", "Excess", "Categories with more stock than they need until the order after next."),
        ):
            st.metric(label, text.full(facts.get(name) or 0), border=True, height="stretch", help=words)
        risk, tied = facts.get("money_at_risk"), facts.get("excess_money")
        st.metric(
            "Money at risk",
            money(risk),
            delta=None if wording.missing(tied) else f"{wording.money(float(tied))} in excess",  # type: ignore[arg-type]
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
            help="Margin expected to be lost in stock-outs before the next possible arrival, if none of the orders "
            "that are still to decide is placed; below it the money that excess stock ties up.",
        )
        year = facts.get("carrying_cost_year")
        st.metric(
            "Stock value",
            money(facts.get("stock_value")),
            delta=None if wording.missing(year) else f"{wording.money(float(year))} a year",  # type: ignore[arg-type]
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
            help="Stock on hand at its cost; below it what a year of carrying it costs. Assumed, where not given: "
            + (text.listing([text.markdown(v, 120) for v in facts.get("assumed", [])], 6) or "nothing")
            + ".",
        )
        both = not (wording.missing(now) or wording.missing(before))
        st.metric(
            "Stock-out rate",
            text.percent(now),
            delta=text.change(now - before, "points", 1).replace(text.NARROW + "%", "")  # type: ignore[operator, union-attr]
            if both and round(now - before, 3)  # type: ignore[operator]
            else None,
            delta_color="inverse",
            border=True,
            height="stretch",
            help="Share of days on which a category was out of stock, last 13 weeks; the arrow compares them with the "
            f"13 weeks before ({text.percent(before)}).",
        )


def statuses(frame: pd.DataFrame) -> tuple[str, ...]:
    """The status filter with its counts, one click each; in the URL as ``status``."""
    current = tuple(st.query_params.get_all("status"))
    written = st.session_state.setdefault(_WRITTEN, [])
    if _KEY not in st.session_state or (current and current not in written):
        st.session_state[_KEY] = [v for v in STATUSES if v in current]
        written.append(current)
    counts = frame["state"].value_counts()
    st.pills(
        "Status",
        list(STATUSES),
        selection_mode="multi",
        format_func=lambda v: f"{STATUSES[v]} {int(counts.get(v, 0))}",
        key=_KEY,
        persist_state="session",
        label_visibility="collapsed",
    )
    chosen = tuple(v for v in STATUSES if v in (st.session_state.get(_KEY) or ()))
    if chosen not in written:
        written.append(chosen)
        del written[:-50]
    if tuple(st.query_params.get_all("status")) != chosen:
        if chosen:
            st.query_params["status"] = list(chosen) if len(chosen) > 1 else chosen[0]
        elif "status" in st.query_params:
            del st.query_params["status"]
    return chosen


def listing(view: View, frame: pd.DataFrame, chosen: Sequence[str]) -> None:
    """The list: a click on a line opens its card."""
    if chosen:
        frame = frame[frame["state"].isin(chosen)]
    if frame.empty:
        st.caption("No category fits these filters.")
        return
    decisions = decided(view)
    shown = table(frame, decisions)
    if (shown["Decision"] == text.NONE).all():
        shown = shown.drop(columns="Decision")
    with st.container(horizontal=True, vertical_alignment="center", key="stock_start_row"):
        st.button(
            "Start at the top",
            icon=":material/play_arrow:",
            shortcut="J",
            on_click=open_item,
            args=(str(frame["product_category"].iloc[0]),),
            key="stock_start",
        )
        st.caption("What needs a decision comes first, then the most money. A click on a line opens its card.")
    event = st.dataframe(
        _coloured(shown, frame["state"].tolist(), view.dark),
        hide_index=True,
        key=f"stock_rows_{st.session_state.get(_TURN, 0)}",
        on_select="rerun",
        selection_mode="single-cell",
        row_height=inbox.ROW,
        height="content" if len(shown) < 12 else 640,
        # A telephone shows some 350 of it: what to order by when stands there, and lines are high enough to wrap.
        column_config={
            "Status": st.column_config.TextColumn(width=92),
            "Category": st.column_config.TextColumn(width=96),
            "Order": st.column_config.TextColumn(width=70, alignment="right"),
            "By": st.column_config.TextColumn(width=76),
            "At stake": st.column_config.TextColumn(
                width=84,
                alignment="right",
                help="Margin expected to be lost without the order; of excess, what a year of carrying it costs.",
            ),
            "Why": st.column_config.TextColumn(width=470),
            "Cover": st.column_config.TextColumn(
                width=78, alignment="right", help="Days until the expected demand has used up the stock on hand."
            ),
            "On hand": st.column_config.TextColumn(width=86, alignment="right"),
            "On order": st.column_config.TextColumn(width=86, alignment="right"),
            "Tags": st.column_config.TextColumn(width=170),
            "Decision": st.column_config.TextColumn(width=150),
        },
        alt=f"{len(shown)} categories: what to order by when; what needs a decision first, then by money.",
    )
    at = _picked(event)
    if at is not None and at < len(frame):
        open_item(str(frame["product_category"].iloc[at]))
        st.rerun()
    _downloads(view, frame, decisions)


def _picked(event: Any) -> int | None:
    chosen = event.get("selection", {}) if event else {}
    cells = chosen.get("cells") or []
    return int(cells[0][0]) if cells else None


def _coloured(shown: pd.DataFrame, found: list[str], dark: bool) -> Any:
    styles = [f"color: {COLOURS[v][dark]}; font-weight: 600" if v in COLOURS else "" for v in found]
    return painted.once(shown.style.apply(lambda _: styles, subset=["Status"]))


def _downloads(view: View, frame: pd.DataFrame, decisions: Mapping[str, str]) -> None:
    name = text.file_name("trendcast", "inventory", *view.filters.category, view.last_day.isoformat())

    def about() -> dict[str, str]:
        return {
            "Level": "category: stock is kept per category",
            "Category": ", ".join(view.filters.category) or "all",
            "Data to": text.day(view.last_day),
            "Run": str(view.run_id),
            "Money at stake": "margin expected to be lost without the order; of excess, a year's carrying cost",
            "Assumed": "inputs that nobody gave are named in each row",
        }

    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.download_button(
            "CSV",
            lambda: tables.csv(export(frame, decisions)),
            file_name=f"{name}.csv",
            mime="text/csv",
            on_click="ignore",
            icon=":material/download:",
            key="stock_csv",
        )
        st.download_button(
            "XLSX",
            lambda: tables.xlsx({"Inventory": export(frame, decisions)}, about()),
            file_name=f"{name}.xlsx",
            mime="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            on_click="ignore",
            icon=":material/download:",
            key="stock_xlsx",
        )
        st.caption(f"The {text.count(len(frame), 'category', 'categories')} on view, in full numbers.")


# --- going through them ---------------------------------------------------------------------------------------------


def opened(frame: pd.DataFrame) -> str | None:
    """The category the URL names; None: the list."""
    value = st.query_params.get("item", "")
    if not value:
        return None
    if value in set(frame["product_category"]):
        return value
    st.warning(
        f"There is no stock advice for {text.markdown(value, 40)} here; the list shows what there is.",
        icon=":material/link_off:",
    )
    return None


def open_item(name: str) -> None:
    st.query_params["item"] = name
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
    st.session_state.pop("stock_said", None)


def close() -> None:
    st.query_params.pop("item", None)
    st.session_state.pop("stock_said", None)


# --- nothing to show ------------------------------------------------------------------------------------------------


def nothing(view: View) -> None:
    """Without stock data: what to load, why, and a template of it."""
    with st.container(key="stock_empty"):
        st.write(
            "With the daily stock of each category TrendCast says what to order by when, what a stock-out would cost "
            "and where too much money lies on the shelf. Load it as `inventory_daily.csv`; stock is per category."
        )
        st.code("python -m trendcast load FOLDER", language=None)
        st.write(
            "Open orders and item parameters are optional: without them lead times come from the stock file, and costs "
            "are assumed and named as such."
        )
        with st.container(horizontal=True, gap="small"):
            for name in TEMPLATES:
                st.download_button(
                    f"Template {name}.csv",
                    functools.partial(_template_file, name, view),
                    file_name=f"{name}.csv",
                    mime="text/csv",
                    on_click="ignore",
                    icon=":material/download:",
                    key=f"template_{name}",
                )


def _template_file(name: str, view: View) -> bytes:
    return tables.csv(template(name, view))


def template(name: str, view: View) -> pd.DataFrame:
    """The columns of a table with one row as an example, in the retailer's own names."""
    index = reads.catalogue(view.run_id).index
    categories = index.loc[index["product_category"] != "", "product_category"]
    category = str(categories.iloc[0]) if len(categories) else "Electronics"
    last = view.last_day
    example: dict[str, Any] = {
        "date_id": last,
        "product_category": category,
        "stock_level": 1200,
        "reorder_point": 400,
        "lead_time_days": 9,
        "stockout_flag": 0,
        "po_id": "PO-1001",
        "quantity": 600,
        "ordered_on": last - dt.timedelta(days=3),
        "due_on": last + dt.timedelta(days=6),
        "received_on": None,
        "received_quantity": None,
        "unit_cost": 4.2,
        "holding_rate": 0.25,
        "order_cost": 35,
        "moq": 100,
        "order_multiple": 12,
        "max_stock": np.nan,
        "shelf_life_days": np.nan,
        "target_service": 0.95,
    }
    return pd.DataFrame([{column: example[column] for column in TEMPLATES[name]}])
