"""The list of the anomaly inbox: what happened, ranked by money, and moving several incidents at once.

The page's own filters are in the URL beside the shared ones (``state, impact, kind, since``); ``incident`` opens one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from trendcast import wording
from trendcast.errors import TrendCastError
from trendcast.services import incidents
from trendcast.services.review_parts import Link
from trendcast.ui import alert_reads, alert_rules, charts_inbox, filters, reads, states, text, triage
from trendcast.ui.shell import View, link
from trendcast.ui.states import calm

# A state to look at -> the words, the statuses behind it, and whether snoozed ones are meant (None: both).
STATES: dict[str, tuple[str, tuple[str, ...], bool | None]] = {
    "open": ("Open", ("NEW", "ACKNOWLEDGED"), False),
    "new": ("New", ("NEW",), False),
    "acknowledged": ("Acknowledged", ("ACKNOWLEDGED",), False),
    "snoozed": ("Snoozed", ("NEW", "ACKNOWLEDGED"), True),
    "resolved": ("Resolved", ("RESOLVED",), None),
    "all": ("All", ("NEW", "ACKNOWLEDGED", "RESOLVED"), None),
}
STATUSES = {"NEW": "New", "ACKNOWLEDGED": "Acknowledged", "RESOLVED": "Resolved"}
IMPACTS = {"HIGH": "◆ High", "MEDIUM": "◈ Medium", "LOW": "◇ Low"}
CLASSES = {
    "stock_out": "Stock-out",
    "zero_run": "No sales",
    "level_shift": "Level shift",
    "trend_change": "Trend change",
    "temporary": "Fading change",
    "promo_without_uplift": "Promotion without uplift",
    "spike": "Spike",
    "drop": "Drop",
    "missing_feed": "Missing data",
    "partial_feed": "Part of the data missing",
    "doubled_feed": "Data counted twice",
    "rescaled_feed": "Unit changed",
    "late_feed": "Late data",
    "known_fault": "Fault seen before",
}
COLOURS: dict[str, tuple[str, str]] = {"HIGH": ("#DC2626", "#F87171"), "MEDIUM": ("#B45309", "#FBBF24")}
# Pixels: above 64 Streamlit wraps the text of a cell. A telephone shows some 320 of a table: how serious it is, what is
# at stake and since when stand there in one cell, beside what happened; so a line is high enough for all of that.
ROW, WEIGHT, SENTENCE = 122, 88, 232
NAMES = ("state", "impact", "kind", "since")
_KEY = "inbox_{}".format
_WRITTEN, _WALK = "inbox_written", "inbox_walk"


@dataclass(frozen=True)
class Asked:
    """The page's own filters."""

    state: str = "open"
    impacts: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    since: dt.date | None = None


# --- the page's own filters and the URL ------------------------------------------------------------------------------


def parse(params: Mapping[str, Sequence[str]]) -> Asked:
    """What a URL asks for; what it does not know is left out."""
    state = (list(params.get("state", ())) or ["open"])[-1].lower()
    since = (list(params.get("since", ())) or [""])[-1]
    try:
        day = dt.date.fromisoformat(since) if since else None
    except ValueError:
        day = None
    return Asked(
        state if state in STATES else "open",
        tuple(v for v in IMPACTS if v in {x.upper() for x in params.get("impact", ())}),
        tuple(v for v in text.KINDS if v in {x.upper() for x in params.get("kind", ())}),
        day,
    )


def to_params(asked: Asked) -> dict[str, list[str]]:
    """The filters as URL parameters; what is default stays out."""
    params = {
        "state": [] if asked.state == "open" else [asked.state],
        "impact": list(asked.impacts),
        "kind": list(asked.kinds),
        "since": [asked.since.isoformat()] if asked.since else [],
    }
    return {name: values for name, values in params.items() if values}


def asked() -> Asked:
    """The filters of this session: from a URL that is new to us, else from the widgets, which are left valid."""
    current = {name: tuple(st.query_params.get_all(name)) for name in NAMES if st.query_params.get_all(name)}
    written = st.session_state.setdefault(_WRITTEN, [])
    if _KEY("state") not in st.session_state or (current and current not in written):
        put(parse(current))
        written.append(current)
    state = st.session_state
    return Asked(
        state.get(_KEY("state")) or "open",
        tuple(state.get(_KEY("impact")) or ()),
        tuple(state.get(_KEY("kind")) or ()),
        state.get(_KEY("since")),
    )


def put(wanted: Asked) -> None:
    """Set the widgets; from a callback, or before they are drawn."""
    st.session_state[_KEY("state")] = wanted.state
    st.session_state[_KEY("impact")] = list(wanted.impacts)
    st.session_state[_KEY("kind")] = list(wanted.kinds)
    st.session_state[_KEY("since")] = wanted.since


def draw_filters() -> Asked:
    """The filter row; returns what is asked now."""
    before = asked()
    with st.grid(4, min_column_width=150, key="inbox_filters"):
        st.selectbox(
            "State", list(STATES), format_func=lambda v: STATES[v][0], key=_KEY("state"), persist_state="session"
        )
        st.multiselect(
            "Impact",
            list(IMPACTS),
            format_func=IMPACTS.__getitem__,
            key=_KEY("impact"),
            placeholder="All",
            persist_state="session",
        )
        st.multiselect(
            "Kind",
            list(text.KINDS),
            format_func=text.KINDS.__getitem__,
            key=_KEY("kind"),
            placeholder="All",
            persist_state="session",
        )
        st.date_input("Since", value=before.since, key=_KEY("since"), format="YYYY-MM-DD", persist_state="session")
    found = asked()
    filters.write_params(NAMES, to_params(found), _WRITTEN)
    return found


# --- what is on view -------------------------------------------------------------------------------------------------


def rows(view: View, wanted: Asked) -> pd.DataFrame:
    """The incidents on view, in the order of services.incidents.inbox."""
    _, statuses, snoozed = STATES[wanted.state]
    chosen = view.filters
    return reads.inbox(
        statuses, wanted.impacts, wanted.kinds, chosen.category, chosen.region, chosen.store, wanted.since, snoozed
    )


def stake(row: Any) -> str:
    """The money at stake in a row, or units where there are no prices."""
    loss = row["loss"]
    if not wording.missing(loss):
        return wording.money(abs(float(loss)))
    units = row["loss_units"]
    return text.NONE if wording.missing(units) else wording.units(abs(float(units)))


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """The list as it is shown, one row per incident."""
    places = zip(frame["product_category"], frame["region"], frame["store"], strict=True)
    rows = [row for _, row in frame.iterrows()]
    return pd.DataFrame(
        {
            "Severity": [weight(row) for row in rows],
            "What happened": [text.plain(v) for v in frame["headline"]],
            "Kind": [kind_words(row) for row in rows],
            "State": [state_words(row) for row in rows],
            "Owner": [said(v) or text.NONE for v in frame["owner"]],
            "Likely cause": [said(v) or text.NONE for v in frame["cause"]],
            "Where": [
                f"{charts_inbox.place(*(str(v or '') for v in names))} ({text.level_inline(level)})"
                for names, level in zip(places, frame["level"], strict=True)
            ],
            "Day": [text.day_short(v) for v in frame["day"]],
            "Series": [int(v) for v in frame["members"]],
        }
    )


def weight(row: Any) -> str:
    """How serious it is, what is at stake and since when; the cell wraps between them."""
    level, days = IMPACTS.get(row["impact"], str(row["impact"])), age(row["age_days"])
    at_stake = stake(row)
    if wording.missing(row["loss"]):  # "4,398 units" is wider than the cell: it breaks before the unit, not within it
        at_stake = " ".join(at_stake.rsplit(text.NARROW, 1))
    return ", ".join((level.replace(" ", text.NARROW), at_stake, days.replace(" ", text.NARROW)))


def said(value: Any) -> str:
    """A text of the database for a table: '' where there is none (a column without any text has NaN for it)."""
    return text.plain(value) if isinstance(value, str) else ""


def age(days: Any) -> str:
    """How long ago, in business days."""
    return text.NONE if wording.missing(days) else "today" if int(days) <= 0 else text.count(int(days), "day")


def state_words(row: Any) -> str:
    """The state of a row in words, with its verdict or the day it comes back."""
    words = STATUSES.get(row["status"], str(row["status"]))
    until, verdict = row["snoozed_until"], row["disposition"]
    if row["status"] != "RESOLVED" and not pd.isna(until):
        return f"{words}, snoozed until {text.day_short(until)}"
    return f"{words}: {said(verdict).replace('_', ' ')}" if said(verdict) else words


def kind_words(row: Any) -> str:
    """What kind of incident it is: 'Demand, spike'."""
    kind, found = text.KINDS.get(row["kind"], text.plain(row["kind"])), str(row.get("class") or "").lower()
    named = CLASSES.get(found, found.replace("_", " ")).lower()
    return f"{kind}, {named}" if named and named != kind.lower() else kind


# --- the list --------------------------------------------------------------------------------------------------------


def finding() -> None:
    """What happened and what to do, the same sentence as in REST and mail."""
    st.header("Anomalies", anchor=False)
    st.markdown("#### " + text.sentence(reads.inbox_finding()))


def checked(counts: Mapping[str, Any]) -> str:
    """When the detector last looked and at what."""
    if counts.get("last_checked") is None:
        return "The sales have not been checked for anomalies yet."
    series, days = int(counts.get("series_checked") or 0), int(counts.get("days_checked") or 0)
    said = (
        f"Last checked {text.moment(counts['last_checked'])}: {text.count(series, 'series', 'series')} over "
        f"{text.count(days, 'day')}."
    )
    return f"{said} {unjudged(counts)}".strip()


def unjudged(counts: Mapping[str, Any]) -> str:
    """What of the last day checked could not be judged, and why; '' when all was."""
    return text.sentence(incidents.unjudged(counts))


def tiles(view: View, wanted: Asked) -> None:
    """Counts of the whole retailer; each shows its incidents with one click."""
    counts = {**reads.inbox_counts(), "snoozed": alert_reads.silence()["snoozed"]}
    recent = "Those of the last seven days. "
    offered = (
        ("open", "Open", "inbox", Asked()),
        ("high", "High impact", "diamond", Asked(impacts=("HIGH",))),
        ("new", "New", "fiber_new", Asked("new")),
        ("data_quality", "Data quality", "database", Asked(kinds=("DATA_QUALITY",))),
        ("snoozed", "Snoozed", "snooze", Asked("snoozed")),
        ("resolved_7d", "Resolved", "check_circle", Asked("resolved", since=_week_ago(view))),
    )
    with st.grid(6, min_column_width=150, key="inbox_tiles"):
        for name, label, icon, meant in offered:
            st.button(
                f"{label} **{text.full(counts.get(name) or 0)}**",
                key=f"tile_{name}",
                icon=f":material/{icon}:",
                type="primary" if wanted == meant else "secondary",
                width="stretch",
                on_click=put,
                args=(meant,),
                help=f"{recent if name == 'resolved_7d' else ''}Of all series, whatever the filters say. A click shows "
                "them.",
            )
    chosen = view.filters
    if chosen.category or chosen.region or chosen.store:
        st.caption("The sentence and the counts above are of all series; the list below is of those you filtered for.")


def _week_ago(view: View) -> dt.date:
    return view.last_day - dt.timedelta(days=6)


def listing(view: View, wanted: Asked) -> None:
    """The list: a click on a row opens it, ticked rows move together."""
    frame = rows(view, wanted)
    if frame.empty:
        triage.said()
        nothing(view, wanted)
        return
    key = f"inbox_rows_{triage.turn()}"
    shown = table(frame)
    bulk = st.container(horizontal=True, vertical_alignment="center", key="inbox_bulk")
    fields = st.container(key="inbox_bulk_fields")
    event = st.dataframe(
        _coloured(shown, frame["impact"].tolist(), view.dark),
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode=["multi-row", "single-cell"],
        row_height=ROW,
        height="content" if len(shown) < 12 else 640,
        column_config={
            "Severity": st.column_config.TextColumn(
                width=WEIGHT,
                help="How serious it is, what is at stake, and how many days ago it began by the retailer's own "
                "calendar.",
            ),
            "What happened": st.column_config.TextColumn(width=SENTENCE),
            "Kind": st.column_config.TextColumn(width=96),
            "State": st.column_config.TextColumn(width=108),
            "Owner": st.column_config.TextColumn(width=76),
            "Likely cause": st.column_config.TextColumn(width=104),
            "Where": st.column_config.TextColumn(width=120),
            "Day": st.column_config.TextColumn(width=64),
            "Series": st.column_config.NumberColumn(
                width=54, help="How many series it took along: one event is one line."
            ),
        },
        alt=f"{len(shown)} incidents, the most money first.",
    )
    chosen = event.get("selection", {}) if event else {}
    cells = chosen.get("cells") or []
    if cells and int(cells[0][0]) < len(frame):
        open_incident(int(frame["incident_id"].iloc[int(cells[0][0])]), _ids(frame))
        st.rerun()
    ticked = frame.iloc[[i for i in chosen.get("rows", []) if i < len(frame)]]
    with bulk:
        if len(ticked):
            _bulk(view, ticked)
            with fields:
                chosen = tuple((int(a), int(b)) for a, b in zip(ticked["incident_id"], ticked["version"], strict=True))
                triage.panel(view, chosen, "bulk")
                if not view.locked:
                    moves = ("acknowledge", "false_alarm", "resolve", "snooze", "verdict")
                    triage.keyboard([*moves, *["undo"] * triage.can_undo()])
        else:
            with fields:
                triage.said()
            first = int(frame["incident_id"].iloc[0])
            st.button(
                "Start at the top",
                icon=":material/play_arrow:",
                shortcut="J",
                on_click=open_incident,
                args=(first, _ids(frame)),
                key="inbox_start",
            )
            st.caption(
                f"{text.count(len(frame), 'incident')}, the most money first. A click on a "
                f"line opens it{'' if view.locked else '; ticked lines move together'}."
            )


def _coloured(shown: pd.DataFrame, impacts: list[str], dark: bool) -> Any:
    """The word keeps its own sign; colour only repeats it."""
    colours = [COLOURS[v][dark] if v in COLOURS else "" for v in impacts]
    styles = [f"color: {c}; font-weight: 600" if c else "" for c in colours]
    return shown.style.apply(lambda _: styles, subset=["Severity"])


def _ids(frame: pd.DataFrame) -> tuple[int, ...]:
    return tuple(int(v) for v in frame["incident_id"])


def _bulk(view: View, ticked: pd.DataFrame) -> None:
    """What can be done to several at once."""
    chosen = tuple((int(a), int(b)) for a, b in zip(ticked["incident_id"], ticked["version"], strict=True))
    st.markdown(f"**{text.count(len(chosen), 'incident')}**")
    for label, icon, action, shortcut in (
        ("Acknowledge", "visibility", "acknowledge", "A"),
        ("False alarm", "notifications_off", "false_alarm", "F"),
    ):
        st.button(
            label,
            icon=f":material/{icon}:",
            shortcut=shortcut,
            on_click=triage.act,
            args=(chosen, action),
            disabled=view.locked,
            key=f"bulk_{action}",
        )
    triage.opener(view, "bulk", "resolve")
    triage.opener(view, "bulk", "snooze")
    triage.opener(view, "bulk", "verdict")


# --- going through them ----------------------------------------------------------------------------------------------


def open_incident(number: int, walk: tuple[int, ...]) -> None:
    """Show one incident; ``walk``: the ones before and after it."""
    st.query_params["incident"] = str(number)
    st.session_state[_WALK] = walk
    triage.next_turn()
    triage.forget()


def opened() -> int | None:
    """The incident the URL names; None: the list."""
    value = st.query_params.get("incident", "")
    return int(value) if value.isdigit() and len(value) < 18 else None


def close() -> None:
    """Back to the list."""
    st.query_params.pop("incident", None)
    st.session_state.pop(_WALK, None)
    triage.forget()


def walk(view: View, number: int) -> tuple[int, ...]:
    """The incidents to go through, as the list stood when it was left, or as the filters ask now."""
    found = st.session_state.get(_WALK)
    if not found or number not in found:
        found = _ids(rows(view, asked()))
        if number not in found:
            found = (number, *found)
        st.session_state[_WALK] = found
    return tuple(found)


# --- nothing to show -------------------------------------------------------------------------------------------------


def nothing(view: View, wanted: Asked) -> None:
    """An empty list says why, or which filter hides the rest; what was checked, and when, stands below every list."""
    counts = reads.inbox_counts()
    if counts.get("last_checked") is None:
        never(view)
        return
    filtered = wanted != Asked() or view.filters.category or view.filters.region or view.filters.store
    with st.container(key="inbox_empty"):
        if filtered:
            st.subheader("No incident fits these filters", anchor=False)
            if wanted != Asked():
                st.button("Show all open ones", on_click=put, args=(Asked(),), key="inbox_clear")
        elif counts.get("judged") == 0 and unjudged(counts):
            st.subheader("Nothing could be judged", anchor=False)
            st.write("That nothing is open here does not say that nothing happened. " + unjudged(counts))
        else:
            st.subheader("Nothing unusual is open", anchor=False)
            st.write(
                "Each new day is compared with the forecast that was published before it. What falls out of its "
                "usual range appears here, the most money first."
            )


def never(view: View) -> None:
    """The detector has not run: why this is empty, and the button that starts it."""
    with st.container(key="inbox_never"):
        st.subheader("Nothing has been checked yet", anchor=False)
        st.write(
            "The check compares each of the last days with what was expected of it. It runs by itself with every new "
            "day of data, and you can start it now."
        )
        check_now(view, "Check now")


def check_now(view: View, label: str) -> None:
    """Start the detector, or show how far it is."""
    slot = _latest_check()
    if slot and slot.get("state") in ("queued", "running"):
        states.follow(_latest_check, reads.forget_inbox)
        return
    if slot and slot.get("state") == "dead":
        st.error(
            "The last check failed: " + text.markdown(slot.get("error") or "no reason was given", 300),
            icon=":material/error:",
        )
    if st.button(label, icon=":material/search:", disabled=view.locked, key="inbox_check"):
        try:
            reads.enqueue("detect", {})
        except TrendCastError as error:
            st.error(text.sentence(error))
            return
        st.rerun()


def _latest_check() -> dict[str, Any] | None:
    frame = reads.slots(20)
    found = frame[frame["name"] == "detect"] if len(frame) else frame
    return dict(found.iloc[0]) if len(found) else None


def footer(view: View) -> None:
    """When the detector last looked, and the button that lets it look now."""
    counts = reads.inbox_counts()
    if counts.get("last_checked") is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="inbox_footer"):
        st.caption(checked(counts))
        check_now(view, "Check now")
    silent(view)
    if view.filters.as_of:
        st.caption("The inbox is always that of now, also when an earlier day is on view.")


@calm
def silent(view: View) -> None:
    """What is put off or not mailed about, and until when."""
    counts = alert_reads.silence()
    if not any(counts.values()):
        return
    held = counts["suppressed"]
    parts = [
        f"{text.count(held, 'message')} held back in the last 7 days" if held else "No message held back lately",
        f"{text.full(counts['snoozed'])} snoozed",
    ]
    with st.expander(", ".join(parts), icon=":material/notifications_off:", key="inbox_silent"):
        rows = alert_reads.suppressions()
        if rows:
            st.markdown("\n".join(f"- {alert_rules.silent_words(row)}" for row in rows))
        else:
            st.caption("Nothing is suppressed now.")
        link(view, Link("data", (("part", "alerts"),)), "End one, or add another", icon=":material/settings:")
