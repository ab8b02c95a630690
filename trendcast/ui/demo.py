"""What only the demo retailer has: a next day at a click, and the switch that shows the truth behind its sales."""

from __future__ import annotations

import datetime as dt
from typing import Any

import streamlit as st

from trendcast import wording
from trendcast.errors import TrendCastError
from trendcast.services.review_parts import Link
from trendcast.ui import reads, states, text

MOST = 4  # new incidents that are named
SIGNS = {"HIGH": ":material/notification_important:", "MEDIUM": ":material/notifications:"}
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
    elif slot.get("id") != st.session_state.get(_MADE):
        return
    elif slot.get("state") == "dead":
        st.error("The next day failed: " + text.markdown(slot.get("error") or "no reason was given", 300))
    elif slot.get("state") == "done":
        _brought((slot.get("progress") or {}).get("result") or {})


def _brought(result: dict[str, Any]) -> None:
    """What the day has brought, with the way to each incident; kept until the next one is asked for."""
    from trendcast.ui import shell

    if not result.get("day"):
        return
    opened = result.get("incidents") or []
    parts = [wording.units(result["units"])]
    parts.append(text.count(len(opened), "new incident") if opened else "nothing unusual")
    if result.get("ended"):
        parts.append(f"{text.count(result['ended'], 'incident')} over")
    st.markdown(f"**{text.day(dt.date.fromisoformat(result['day']))}** came: {', '.join(parts)}.")
    for one in opened[:MOST]:
        where = Link("anomaly-inbox", (("incident", str(one["incident_id"])),))
        shell.lead(where, text.markdown(one["name"], 40), icon=SIGNS.get(one["impact"]))
        st.caption(text.sentence(one["headline"].removeprefix(f"{one['name']}: ").split("; ")[0].rstrip(".") + "."))
    if len(opened) > MOST:
        shell.lead(Link("anomaly-inbox"), f"All {text.full(len(opened))}")


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
