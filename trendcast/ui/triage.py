"""Moving incidents: acknowledge, snooze, resolve, verdicts and the way back, with what to say after each.

A move that takes words or a date opens its fields below the row of buttons; each button has a key of the keyboard.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, Literal

import streamlit as st

from trendcast.errors import Conflict, TrendCastError
from trendcast.services import incidents
from trendcast.ui import alert_reads, reads, text
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
    "expected": ("Expected", "It has a known cause, such as an event nobody had entered: it can go into the calendar."),
    "new_normal": ("New normal", "The level has changed for good: the new one is expected from its first day on."),
    "false_alarm": ("False alarm", "Nothing was wrong: its days go on counting as usual."),
    "data_issue": ("Data issue", "The figures are wrong, not the sales: its days do not count as usual."),
}
Chosen = tuple[tuple[int, int | None], ...]  # incidents and the version of each on view
# R and C are Streamlit's own.
KEYS = {
    "start": "J the first of them",
    "next": "J next",
    "previous": "K previous",
    "acknowledge": "A acknowledge",
    "resolve": "D done (resolve)",
    "false_alarm": "F false alarm",
    "snooze": "S snooze",
    "verdict": "V verdict",
    "reopen": "O open again",
    "undo": "U undo",
    "inbox": "Esc inbox",
}
LOOK = "Its newest state is shown; look, then decide again."
_SAID, _TURN, _OPEN = "inbox_said", "inbox_turn", "inbox_open_move"


def turn() -> int:
    """Counts what makes a choice in the list obsolete; part of the list's key."""
    return int(st.session_state.get(_TURN, 0))


def next_turn() -> None:
    st.session_state[_TURN] = turn() + 1


def keyboard(names: Iterable[str]) -> None:
    """Which keys do something now, those of these moves."""
    st.caption("Keys: " + ", ".join(KEYS[name] for name in names) + ".")


def can_undo() -> bool:
    """Whether the last move can be taken back from here."""
    found = st.session_state.get(_SAID)
    return bool(found and found["moved"] and found["action"] != "undo")


def said() -> None:
    """What the last move did, with the way back; a sentence when somebody else was faster. It stands beside the buttons
    until the next move; a note at the page's edge says it wherever somebody has scrolled to."""
    found = st.session_state.get(_SAID)
    if not found:
        return
    if not found["told"]:
        found["told"] = True
        if found["trouble"]:
            st.toast(found["trouble"], icon=":material/sync_problem:", duration="long")
        if found["done"]:
            st.toast(found["done"], icon=":material/check:", duration="long")
    with st.container(horizontal=True, vertical_alignment="center", key="inbox_said_row"):
        if found["trouble"]:
            st.warning(found["trouble"], icon=":material/sync_problem:")
        if found["done"]:
            st.markdown(f":material/check: {found['done']}")
        if can_undo():
            st.button("Undo", icon=":material/undo:", shortcut="U", on_click=_undo, key="inbox_undo")
        st.button("Close", type="tertiary", icon=":material/close:", on_click=forget, key="inbox_close")


def forget() -> None:
    """What was said is read."""
    st.session_state.pop(_SAID, None)


def _undo() -> None:
    found = st.session_state.get(_SAID) or {}
    act(tuple(found.get("moved", ())), "undo")


def act(incidents: Chosen, action: str, *, note: str = "", until: Any = None, event: Any = None) -> None:
    """Move incidents (id, version on view) and keep what to say; a callback, so the page is drawn with the result.
    ``event``: of what was expected, for the calendar."""
    moved: list[tuple[int, int | None]] = []
    faster: list[int] = []
    trouble: list[str] = []
    same = 0
    for number, version in incidents:
        how: dict[str, Any] = {"who": person(), "version": version, "note": note.strip()}
        how |= {name: value for name, value in (("until", until), ("event", event)) if value is not None}
        try:
            result = reads.move(number, action, **how)
            if result.get("changed", True):  # what was so already is nobody's to take back
                moved.append((number, result.get("version")))
            else:
                same += 1
        except Conflict as error:
            faster.append(number)
            trouble.append(text.sentence(error))
        except TrendCastError as error:
            trouble.append(text.sentence(error))
    done = ""
    if moved:
        counted = f"{text.count(len(moved), 'incident')} {'was' if len(moved) == 1 else 'were'}"
        what = "The incident was" if len(incidents) == 1 else counted
        done = f"{what} {DONE[action]}."
    if same:
        done = f"{done} {text.count(same, 'incident')} {'was' if same == 1 else 'were'} so already.".strip()
    if faster:
        trouble.append(LOOK)
    trouble = list(dict.fromkeys(trouble))  # of several the same
    st.session_state[_SAID] = {
        "done": done,
        "trouble": " ".join(trouble),
        "moved": moved,
        "action": action,
        "told": False,
    }
    if moved:
        st.session_state.pop(_OPEN, None)
    if len(incidents) > 1:
        next_turn()  # the ticked rows are done with


# --- the row of buttons, and the fields of the one that is open ------------------------------------------------------


def opened(key: str) -> str:
    """The move whose fields are open for these incidents; '' when none are."""
    found = st.session_state.get(_OPEN)
    return str(found[1]) if found and found[0] == key else ""


def stale(incident: int, key: str) -> None:
    """Fields that were opened for another version of an incident than the one with ``key`` are closed: it was moved
    meanwhile, in another tab or by somebody else, which is said unless the move that failed has said it."""
    state = st.session_state
    found = state.get(_OPEN)
    if not found or found[0] == key or not str(found[0]).startswith(f"incident_{incident}_"):
        return
    state.pop(_OPEN)
    if not (state.get(_SAID) or {}).get("trouble"):
        trouble = f"This incident has changed meanwhile. {LOOK}"
        state[_SAID] = {"done": "", "trouble": trouble, "moved": [], "action": found[1], "told": False}


def _toggle(key: str, move: str) -> None:
    st.session_state[_OPEN] = None if opened(key) == move else (key, move)


def opener(view: View, key: str, move: str, *, main: bool = False) -> None:
    """The button that opens a move's fields, and closes them."""
    label, icon, shortcut, words = {
        "resolve": ("Resolve", "check", "D", "It is dealt with: write what it was."),
        "snooze": ("Snooze", "snooze", "S", "It leaves the open list and comes back on a day."),
        "verdict": ("Verdict", "gavel", "V", "What it was, in one of five words: the detector learns from it."),
    }[move]
    st.button(
        label,
        icon=f":material/{icon}:",
        shortcut=shortcut,
        type="primary" if main else "secondary",
        disabled=view.locked,
        on_click=_toggle,
        args=(key, move),
        key=f"{key}_{move}",
        help=words,
    )


def panel(view: View, chosen: Chosen, key: str, *, about: dict[str, Any] | None = None) -> None:
    """The fields of the move that is open, if one is, and above its button what became of the last one. ``about``: the
    incident, when it is one (its days and region are proposed for the calendar)."""
    move = opened(key)
    if not move or view.locked:
        said()
        return
    with st.container(border=True, key=f"{key}_panel"):
        {"resolve": _resolve, "snooze": _snooze, "verdict": _verdict}[move](chosen, key, about or {})


def until_field(key: str, words: str, *, width: int | Literal["stretch"] = "stretch") -> None:
    """The day on which something ends, a later one than the retailer's own: that is what services compare it with."""
    today = incidents.today()
    st.date_input(
        "Until",
        value=today + dt.timedelta(days=7),
        min_value=today + dt.timedelta(days=1),
        format="YYYY-MM-DD",
        key=f"{key}_until",
        help=words,
        width=width,
    )


def _snooze(chosen: Chosen, key: str, about: dict[str, Any]) -> None:
    said()
    with st.form(f"{key}_snooze_form", border=False):
        until_field(key, "It leaves the open list and comes back on that day.", width=220)
        st.form_submit_button(
            "Snooze", type="primary", on_click=_act_from, args=(chosen, "snooze", key), key=f"{key}_snooze_do"
        )


def _resolve(chosen: Chosen, key: str, about: dict[str, Any]) -> None:
    said()
    with st.form(f"{key}_resolve_form", border=False):
        st.text_input(
            "What was found or done (needed)",
            key=f"{key}_note",
            placeholder="For whoever sees the like of it again",
            max_chars=500,
        )
        words = "Resolve it" if len(chosen) == 1 else f"Resolve all {text.full(len(chosen))}"
        st.form_submit_button(
            words, type="primary", on_click=_act_from, args=(chosen, "resolve", key), key=f"{key}_resolve_do"
        )


def _act_from(chosen: Chosen, action: str, key: str) -> None:
    """Move with what stands in the form."""
    note = st.session_state.get(f"{key}_note") or ""
    until = st.session_state.get(f"{key}_until") if action == "snooze" else None
    act(chosen, action, note=note if action != "snooze" else "", until=until)


def _verdict(chosen: Chosen, key: str, about: dict[str, Any]) -> None:
    judged = st.radio(
        "What was it?",
        list(VERDICTS),
        format_func=lambda v: VERDICTS[v][0],
        captions=[words for _, words in VERDICTS.values()],
        key=f"{key}_judged",
    )
    calendar = judged == "expected" and bool(about)
    if calendar:
        _calendar(key, about)
    needed = incidents.NEEDS_NOTE.get(judged)
    st.text_input(
        f"Note: {needed} (needed)" if needed else "Note",
        key=f"{key}_judged_note",
        max_chars=500,
        placeholder="The event's name will do" if calendar else None,
    )
    said()
    st.button("Give the verdict", type="primary", on_click=_judge, args=(chosen, key), key=f"{key}_verdict_do")


def _calendar(key: str, about: dict[str, Any]) -> None:
    """What was expected, as an event: its name, days and region; known again when it comes again."""
    st.checkbox(
        "Put it into the calendar",
        True,
        key=f"{key}_event",
        help="What it did is learnt, and expected whenever an event of this name comes.",
    )
    regions = ["", *alert_reads.scopes()["region"]]
    own = str(about.get("region") or "")
    if own not in regions:
        regions.append(own)
    first, last = about["first_day"], about["day"]
    with st.grid(4, min_column_width=160, key=f"{key}_event_fields"):
        st.text_input("Name of the event", key=f"{key}_event_name", max_chars=100, placeholder="Street festival")
        st.date_input("First day", value=first, key=f"{key}_event_first", format="YYYY-MM-DD")
        st.date_input(
            "Last day",
            value=min(last, first + dt.timedelta(days=incidents.LONGEST_EVENT.days - 1)),
            key=f"{key}_event_last",
            format="YYYY-MM-DD",
        )
        st.selectbox(
            "Region",
            regions,
            index=regions.index(own),
            format_func=lambda name: text.plain(name) or "Everywhere",
            key=f"{key}_event_region",
        )
    st.date_input(
        "Comes again on",
        value=None,
        min_value=last + dt.timedelta(days=1),
        key=f"{key}_event_again",
        format="YYYY-MM-DD",
        help="The first day on which it is known to come again, if it does.",
        width=220,
    )


def _judge(chosen: Chosen, key: str) -> None:
    state = st.session_state
    action = state.get(f"{key}_judged") or "confirmed"
    note, event = state.get(f"{key}_judged_note") or "", None
    if action == "expected" and state.get(f"{key}_event"):
        name = str(state.get(f"{key}_event_name") or "").strip()
        event = {
            "name": name,
            "first_day": state.get(f"{key}_event_first"),
            "last_day": state.get(f"{key}_event_last"),
            "region": state.get(f"{key}_event_region") or "",
            "again": state.get(f"{key}_event_again"),
        }
        note = note.strip() or name
    act(chosen, action, note=note, event=event)


def new_normal(view: View, found: dict[str, Any], chosen: Chosen) -> None:
    """A level that has held, and holds, is offered as the new one: where the next step says so."""
    held = int(found["held"])
    if not held:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="incident_new_normal_row"):
        st.markdown(f"The level has held for {text.count(held, 'day')} or more. If it stays, it is the new one.")
        st.button(
            "New normal",
            icon=":material/moving:",
            disabled=view.locked,
            on_click=act,
            args=(chosen, "new_normal"),
            key="incident_new_normal",
            help=VERDICTS["new_normal"][1],
        )
