"""What only the demo retailer has: a next day at a click, and the switch that shows the truth behind its sales."""

from __future__ import annotations

from typing import Any

import streamlit as st

from trendcast.errors import TrendCastError
from trendcast.ui import reads, states, text

_ON = "demo_truth"
_MADE = "demo_made"


def controls() -> None:
    """The button and the switch, for the sidebar; nothing when the data are one's own."""
    if not reads.is_demo():
        st.session_state.pop(_ON, None)
        return
    with st.container(key="demo_controls"):
        st.caption("GlobalRetail Corp is a made-up retailer.")
        next_day_button()
        _truth_switch()


def truth_on() -> bool:
    """Whether the demo's truth is to be drawn beside what was sold and forecast."""
    return bool(st.session_state.get(_ON)) and reads.is_demo()


def next_day_button() -> None:
    """Append one day, as the daily job would; shows how far it is, then the new run."""
    slot = _newest()
    busy = slot.get("state") in ("queued", "running")
    if st.button(
        "Next day",
        icon=":material/skip_next:",
        disabled=busy,
        key="demo_next_day",
        help="One more day of sales comes in: it is loaded, checked against the forecast, and forecast from.",
    ):
        try:
            st.session_state[_MADE] = reads.enqueue("next_day", {})
        except TrendCastError as error:
            st.error(text.markdown(str(error), 400))
            return
        st.rerun()
    if busy:
        states.follow(_newest, _lived)
    elif slot.get("state") == "dead" and slot.get("id") == st.session_state.get(_MADE):
        st.error("The next day failed: " + text.markdown(slot.get("error") or "no reason was given", 300))


def _lived() -> None:
    reads.standing(fresh=True)
    reads.forget_inbox()


def _newest() -> dict[str, Any]:
    return states.latest("next_day") or {}


def _truth_switch() -> None:
    # A copy of the URL shows the same; the widget's own state does not outlive a change of page.
    if _ON not in st.session_state:
        st.session_state[_ON] = st.query_params.get("truth") == "1"
    on = st.toggle(
        "Show the truth",
        value=st.session_state[_ON],
        help="Only the demo knows it: what customers wanted on each day, without empty shelves. No model sees it.",
    )
    st.session_state[_ON] = on
    if on:
        st.query_params["truth"] = "1"
    elif "truth" in st.query_params:
        del st.query_params["truth"]
