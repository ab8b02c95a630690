"""The parts of the Data page: what is loaded, batches, quarantine, and runs with their progress."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from trendcast.errors import TrendCastError
from trendcast.ui import reads, states, text

TABLES = {
    "sales_daily": "Sales",
    "market_factors": "Market factors",
    "inventory_daily": "Stock",
    "events": "Events and holidays",
    "plan_daily": "Plan",
    "stores": "Stores",
    "item_params": "Item parameters",
    "purchase_orders": "Purchase orders",
}
STATES = {"merged": "Loaded", "held": "Held", "rejected": "Turned away"}
RUN_STATES = {"ready": "Published", "building": "In progress", "failed": "Failed"}


def _text(value: Any) -> str:
    return "" if value is None or pd.isna(value) else text.plain(value)


def _span(first: Any, last: Any) -> str:
    if pd.isna(first) or pd.isna(last):
        return text.NONE
    return text.day(first) if first == last else f"{text.day(first)} to {text.day(last)}"


def refresh(*, away: bool) -> None:
    """The button that starts a refresh, and the progress of the one that runs."""
    slot = states.latest_refresh()
    busy = bool(slot and slot.get("state") in ("queued", "running"))
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            "Refresh now",
            type="primary",
            icon=":material/refresh:",
            disabled=away or busy,
            help="Fit all models again on the newest data and publish a new run. The present run stays until then.",
        ):
            try:
                states.start_refresh()
                st.rerun()
            except TrendCastError as error:
                st.error(text.markdown(str(error), 400))
        if not busy:
            st.caption("A refresh also starts by itself every morning when there is new data.")
    if busy:
        _running()
    elif slot and slot.get("state") == "dead":
        st.error(
            "The last refresh failed: "
            + text.markdown(slot.get("error") or "no reason was given", 300)
            + " The run before it is still shown; start it again, or see the log.",
            icon=":material/error:",
        )


@st.fragment(run_every="2s")
@states.watched
def _running() -> None:
    slot = states.latest_refresh() or {}
    if slot.get("state") not in ("queued", "running"):
        reads.standing(fresh=True)
        st.rerun()
    states.progress_line(slot)


def loaded() -> None:
    st.subheader("Loaded", anchor=False)
    frame = reads.loaded_tables()
    if frame.empty:
        st.write("No data yet. Put `sales_daily.csv` into a folder and load it:")
        st.code("python -m trendcast load FOLDER", language=None)
        return
    order = list(TABLES)
    frame = frame.sort_values(
        "table_name", key=lambda names: names.map(lambda n: order.index(n) if n in order else len(order))
    )
    shown = pd.DataFrame(
        {
            "Table": [TABLES.get(n, n) for n in frame["table_name"]],
            "Days": [_span(a, b) for a, b in zip(frame["first_day"], frame["last_day"], strict=True)],
            "Rows": [text.full(v) for v in frame["rows_merged"]],
            "In quarantine": [text.full(v) for v in frame["rows_quarantined"]],
            "Last load": [text.moment(v) for v in frame["committed_at"]],
        }
    )
    _table(shown, "loaded", ("Rows", "In quarantine"))


def runs() -> None:
    st.subheader("Runs", anchor=False)
    frame = reads.runs(50)
    if frame.empty:
        st.caption("No forecast has been made yet.")
        return
    seconds = [_seconds(summary) for summary in frame["summary"]]
    shown = pd.DataFrame(
        {
            "Run": frame["id"].astype(int),
            "State": [
                "Current" if current else RUN_STATES.get(state, state)
                for current, state in zip(frame["is_current"], frame["status"], strict=True)
            ],
            "Data to": [text.day(v) for v in frame["last_day"]],
            "Series": [text.full(v) for v in frame["n_series"]],
            "Kind": ["Quick" if kind == "quick" else "Full" for kind in frame["kind"]],
            "Took": [text.seconds(v) for v in seconds],
            "Published": [text.moment(v) for v in frame["published_at"]],
            "What went wrong": [_text(v) for v in frame["error"]],
        }
    )
    if not shown["What went wrong"].any():
        shown = shown.drop(columns="What went wrong")
    _table(shown, "runs", ("Series", "Took"))


def _seconds(summary: Any) -> float | None:
    if not isinstance(summary, dict):
        return None
    total = summary.get("seconds")
    if isinstance(total, dict):
        values = [v for v in total.values() if isinstance(v, (int, float))]
        return float(total.get("total", sum(values)))
    return float(total) if isinstance(total, (int, float)) else None


def batches() -> None:
    st.subheader("Batches", anchor=False)
    frame = reads.batches(200)
    if frame.empty:
        st.caption("Each file or sync that brings data appears here.")
        return
    held = int((frame["status"] == "held").sum())
    if held:
        st.warning(
            f"{text.count(held, 'batch', 'batches')} looked wrong as a whole and waits. Look at its reason; "
            "`python -m trendcast load FOLDER --accept` takes it.",
            icon=":material/pan_tool:",
        )
    shown = pd.DataFrame(
        {
            "Batch": frame["id"].astype(int),
            "Table": [TABLES.get(n, n) for n in frame["table_name"]],
            "Source": [_text(v)[-60:] for v in frame["source"]],
            "State": [STATES.get(s, s) for s in frame["status"]],
            "Days": [_span(a, b) for a, b in zip(frame["first_day"], frame["last_day"], strict=True)],
            "Rows": [text.full(v) for v in frame["rows_in"]],
            "New": [text.full(v) for v in frame["rows_new"]],
            "Changed": [text.full(v) for v in frame["rows_changed"]],
            "In quarantine": [text.full(v) for v in frame["rows_quarantined"]],
            "When": [text.moment(v) for v in frame["created_at"]],
            "Reason": [_text(v) for v in frame["reason"]],
        }
    )
    if not shown["Reason"].any():
        shown = shown.drop(columns="Reason")
    _table(shown, "batches", ("Rows", "New", "Changed", "In quarantine"))


def quarantine() -> None:
    st.subheader("Quarantine", anchor=False)
    frame = reads.quarantine(None, 500)
    if frame.empty:
        st.caption("No row was turned away.")
        return
    shown = pd.DataFrame(
        {
            "Batch": frame["batch_id"].astype(int),
            "Table": [TABLES.get(n, n) for n in frame["table_name"]],
            "Row": frame["row_number"].astype(int),
            "Reason": [_text(v) for v in frame["reason"]],
            "As it came": [_text(v)[:300] for v in frame["raw"]],
        }
    )
    _table(shown, "quarantine", ())
    st.caption("The newest 500 rows. Correct them in their source and load it again: good rows are not doubled.")


def _table(frame: pd.DataFrame, key: str, numbers: tuple[str, ...]) -> None:
    config: dict[str, Any] = {name: st.column_config.TextColumn(alignment="right") for name in numbers if name in frame}
    st.dataframe(
        frame,
        hide_index=True,
        key=f"table_{key}",
        column_config=config,
        height="content" if len(frame) < 12 else 420,
        alt=f"{key.capitalize()}, {len(frame)} rows.",
    )
