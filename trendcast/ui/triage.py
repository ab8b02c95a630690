"""Moving incidents: acknowledge, snooze, resolve, verdicts and the way back, with what to say after each."""

from __future__ import annotations

import datetime as dt
from typing import Any

import streamlit as st

from trendcast.errors import Conflict, TrendCastError
from trendcast.ui import reads, text
from trendcast.ui.shell import View, person

DONE = {
    "acknowledge": "acknowledged",
    "resolve": "resolved",
    "reopen": "opened again",
    "snooze": "snoozed",
    "expected": "closed as expected",
    "new_normal": "closed as the new normal",
    "false_alarm": "closed as a false alarm",
    "confirmed": "confirmed",
    "data_issue": "closed as a data issue",
    "undo": "put back",
}
# Verdict -> its name and what it does.
VERDICTS = {
    "confirmed": ("Confirmed", "It happened, and it was not normal: its days do not count as usual."),
    "expected": ("Expected", "It has a known cause, such as an event nobody had entered. Write which."),
    "new_normal": ("New normal", "The level has changed for good: the new one is expected from its first day on."),
    "false_alarm": ("False alarm", "Nothing was wrong: its days go on counting as usual."),
    "data_issue": ("Data issue", "The figures are wrong, not the sales: its days do not count as usual. Write why."),
}
Chosen = tuple[tuple[int, int | None], ...]  # incidents and the version of each on view
_SAID, _TURN = "inbox_said", "inbox_turn"


def turn() -> int:
    """Counts what makes a choice in the list obsolete; part of the list's key."""
    return int(st.session_state.get(_TURN, 0))


def next_turn() -> None:
    st.session_state[_TURN] = turn() + 1


def said() -> None:
    """What the last move did, with the way back; a sentence when somebody else was faster."""
    found = st.session_state.get(_SAID)
    if not found:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="inbox_said_row"):
        if found["trouble"]:
            st.warning(found["trouble"], icon=":material/sync_problem:")
        if found["done"]:
            st.markdown(f":material/check: {found['done']}")
        if found["moved"] and found["action"] != "undo":
            st.button("Undo", icon=":material/undo:", shortcut="U", on_click=_undo, key="inbox_undo")
        st.button("Close", type="tertiary", icon=":material/close:", on_click=forget, key="inbox_close")


def forget() -> None:
    """What was said is read."""
    st.session_state.pop(_SAID, None)


def _undo() -> None:
    found = st.session_state.get(_SAID) or {}
    act(tuple(found.get("moved", ())), "undo")


def act(incidents: Chosen, action: str, *, note: str = "", until: Any = None) -> None:
    """Move incidents (id, version on view) and keep what to say; a callback, so the page is drawn with the result."""
    moved: list[tuple[int, int | None]] = []
    faster: list[int] = []
    trouble: list[str] = []
    for number, version in incidents:
        how: dict[str, Any] = {"who": person(), "version": version, "note": note.strip()}
        if until is not None:
            how["until"] = until
        try:
            result = reads.move(number, action, **how)
            moved.append((number, (result or {}).get("version")))
        except Conflict as error:
            faster.append(number)
            trouble.append(text.sentence(error))
        except TrendCastError as error:
            trouble.append(text.sentence(error))
    done = ""
    if moved:
        what = "The incident was" if len(incidents) == 1 else f"{text.count(len(moved), 'incident')} were"
        done = f"{what} {DONE[action]}."
    if faster:
        trouble = list(dict.fromkeys(t for t in trouble))
        trouble.append("Its newest state is shown; look, then decide again.")
    st.session_state[_SAID] = {"done": done, "trouble": " ".join(trouble), "moved": moved, "action": action}
    if len(incidents) > 1:
        next_turn()  # the ticked rows are done with


def snooze(view: View, chosen: Chosen, key: str) -> None:
    """Snooze until a day: it comes back then by itself."""
    today = dt.datetime.now(dt.UTC).date()
    with (
        st.popover("Snooze", icon=":material/snooze:", disabled=view.locked, key=f"{key}_snooze"),
        st.form(f"{key}_snooze_form", border=False),
    ):
        st.date_input(
            "Until",
            value=today + dt.timedelta(days=7),
            min_value=today + dt.timedelta(days=1),
            format="YYYY-MM-DD",
            key=f"{key}_until",
            help="It leaves the open list and comes back on that day.",
        )
        st.form_submit_button(
            "Snooze", type="primary", on_click=_act_from, args=(chosen, "snooze", key), key=f"{key}_snooze_do"
        )


def resolve(view: View, chosen: Chosen, key: str, *, main: bool = False) -> None:
    """Resolve with a note of what it was."""
    with (
        st.popover(
            "Resolve",
            icon=":material/check:",
            disabled=view.locked,
            key=f"{key}_resolve",
            type="primary" if main else "secondary",
        ),
        st.form(f"{key}_resolve_form", border=False),
    ):
        st.text_input(
            "What was found or done",
            key=f"{key}_note",
            placeholder="For whoever sees the like of it again",
            max_chars=500,
        )
        st.form_submit_button(
            "Resolve", type="primary", on_click=_act_from, args=(chosen, "resolve", key), key=f"{key}_resolve_do"
        )


def _act_from(chosen: Chosen, action: str, key: str) -> None:
    """Move with what stands in the form."""
    note = st.session_state.get(f"{key}_note") or ""
    until = st.session_state.get(f"{key}_until") if action == "snooze" else None
    act(chosen, action, note=note if action != "snooze" else "", until=until)


def verdict(view: View, chosen: Chosen, key: str) -> None:
    """What it was, in one of five words, each with what it means."""
    with (
        st.popover("Verdict", icon=":material/gavel:", disabled=view.locked, key=f"{key}_verdict"),
        st.form(f"{key}_verdict_form", border=False),
    ):
        st.radio(
            "What was it?",
            list(VERDICTS),
            format_func=lambda v: VERDICTS[v][0],
            captions=[words for _, words in VERDICTS.values()],
            key=f"{key}_judged",
        )
        st.text_input("Note", key=f"{key}_judged_note", max_chars=500)
        st.form_submit_button(
            "Give the verdict", type="primary", on_click=_judge, args=(chosen, key), key=f"{key}_verdict_do"
        )


def _judge(chosen: Chosen, key: str) -> None:
    action = st.session_state.get(f"{key}_judged") or "confirmed"
    act(chosen, action, note=st.session_state.get(f"{key}_judged_note") or "")
