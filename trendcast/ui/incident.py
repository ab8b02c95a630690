"""One incident: what happened, what to do, eight weeks around it, what it is made of, and the moves."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from trendcast import wording
from trendcast.errors import NotFound
from trendcast.services import chart_findings
from trendcast.services.detect_window import CORRECTIONS
from trendcast.services.plain_rule import PLAIN_HIGHEST
from trendcast.services.review_parts import Link
from trendcast.ui import alert_reads, alerts, charts_inbox, inbox, reads, text, triage
from trendcast.ui.plots import CONFIG
from trendcast.ui.shell import View, link

DAYS = 56  # of context
MOST_LINES = 12  # of a log, before the rest waits to be opened
DETECTOR = "TrendCast"  # who is in the log for what no person did
KEYS = ("level", "product_category", "region", "store")
MOVES = {
    "acknowledge": "Acknowledged",
    "resolve": "Resolved",
    "reopen": "Opened again",
    "snooze": "Snoozed",
    "expected": "Verdict: expected",
    "new_normal": "Verdict: new normal",
    "false_alarm": "Verdict: false alarm",
    "confirmed": "Verdict: confirmed",
    "data_issue": "Verdict: data issue",
    "undo": "Put back",
    "told": "Told",
    "lapsed": "New again",
    "woken": "Snooze ended",
    "found": "Opened by the check",
    "corrected": "Closed by the check: the data have changed",
    "recovered": "Closed by the check: as usual again",
    "reopened": "Opened again by the check",
}


def show(view: View, number: int) -> None:
    """The whole incident; one that does not exist gets a sentence and the way back."""
    try:
        found = reads.incident(number)
    except NotFound as error:
        _back()
        st.warning(f"{text.sentence(error)} The inbox has all there are.", icon=":material/link_off:")
        return
    triage.stale(number, _key(found))
    keys = _steps(view, number, writing=bool(triage.opened(_key(found))))
    _head(found)
    _moves(view, found, keys)
    _chart(view, found)
    parts = charts_inbox.contributions(found["anomalies"], [str(found[key] or "") for key in KEYS])
    if len(parts) > 1:
        left, right = st.columns([3, 2], gap="large")
        with left:
            _parts(view, parts)
        with right:
            _rule(found)
    else:
        _rule(found)
    _similar(view, found)
    _calendar(found)
    _log(found)
    _mails(found)
    _plain(view, found)


def _back(*, writing: bool = False) -> None:
    """The way to the list; ``writing``: with a form open Esc stays here, else one slip loses what it holds."""
    key = None if writing else "Esc"
    st.button("Inbox", icon=":material/arrow_back:", on_click=inbox.close, key="incident_back", shortcut=key)


def _key(found: dict[str, Any]) -> str:
    """Of the fields about it; another version closes them."""
    return f"incident_{int(found['incident_id'])}_{int(found['version'])}"


def _steps(view: View, number: int, *, writing: bool) -> list[str]:
    """Back to the list, and to the one before and after; which of these there are on the keyboard."""
    line = inbox.walk(view, number)
    at = line.index(number)
    keys = [] if writing else ["inbox"]
    with st.container(horizontal=True, vertical_alignment="center", key="incident_steps"):
        _back(writing=writing)
        for label, icon, step, key in (("Previous", "expand_less", -1, "K"), ("Next", "expand_more", 1, "J")):
            there = 0 <= at + step < len(line)
            keys += [label.lower()] * there
            st.button(
                label,
                icon=f":material/{icon}:",
                disabled=not there,
                shortcut=key,
                on_click=inbox.open_incident,
                args=(line[at + step] if there else number, line),
                key=f"incident_{label.lower()}",
            )
        st.caption(f"{at + 1} of {len(line)}")
    return keys


def _head(found: dict[str, Any]) -> None:
    colours = {"HIGH": "red", "MEDIUM": "orange", "LOW": "gray"}
    states = {"NEW": "blue", "ACKNOWLEDGED": "violet", "RESOLVED": "green"}
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="incident_badges"):
        st.badge(inbox.IMPACTS.get(found["impact"], found["impact"]), color=colours.get(found["impact"], "gray"))  # type: ignore[arg-type]
        st.badge(text.markdown(inbox.kind_words(found)), color="gray")
        st.badge(text.markdown(inbox.state_words(found)), color=states.get(found["status"], "gray"))  # type: ignore[arg-type]
        st.caption(" · ".join(_facts(found)))
    st.markdown("#### " + text.sentence(found["headline"]))
    if found["status"] == "RESOLVED":  # what was to be done is done
        if inbox.said(found.get("note")):
            st.markdown(":material/check: " + text.sentence(_ending(found["note"])))
    elif inbox.said(found.get("next_step")):
        st.markdown(":material/arrow_forward: **" + text.sentence(found["next_step"]).rstrip() + "**")


def _ending(note: str) -> str:
    """How it ended, as a sentence; where other data ended it, whose figures are still told."""
    said = note[:1].upper() + note[1:] + ("" if note.endswith((".", "!", "?")) else ".")
    return f"{said} What is told here is what the data said before." if note in CORRECTIONS else said


def _facts(found: dict[str, Any]) -> list[str]:
    first, last = found["first_day"], found["day"]
    same = pd.Timestamp(first) == pd.Timestamp(last)
    facts = [text.day(last) if same else f"{text.day(first)} to {text.day(last)}"]
    at_risk = inbox.stake(found)
    if at_risk != text.NONE:
        facts.append(f"{text.markdown(at_risk)} at stake")
    if inbox.said(found.get("owner")):
        facts.append(f"owner {text.markdown(found['owner'])}")
    if inbox.said(found.get("cause")):
        facts.append(f"likely cause: {text.markdown(found['cause'], 120)}")
    return facts


def _moves(view: View, found: dict[str, Any], keys: list[str]) -> None:
    """What can be done about it; ``keys``: of the keyboard that do something besides."""
    number, version = int(found["incident_id"]), int(found["version"])
    chosen = ((number, version),)
    key = _key(found)
    triage.new_normal(view, found, chosen)
    with st.container(horizontal=True, vertical_alignment="center", key="incident_moves"):
        if found["status"] == "RESOLVED":
            st.button(
                "Open again",
                icon=":material/undo:",
                shortcut="O",
                disabled=view.locked,
                on_click=triage.act,
                args=(chosen, "reopen"),
                key="incident_reopen",
            )
        else:
            if found["status"] == "NEW":
                st.button(
                    "Acknowledge",
                    icon=":material/visibility:",
                    type="primary",
                    shortcut="A",
                    disabled=view.locked,
                    on_click=triage.act,
                    args=(chosen, "acknowledge"),
                    key="incident_acknowledge",
                    help="You have seen it and look after it. It stays open.",
                )
            triage.opener(view, key, "resolve", main=found["status"] != "NEW")
            triage.opener(view, key, "snooze")
        triage.opener(view, key, "verdict")
    triage.panel(view, chosen, key, about=found)
    if not view.locked:
        moves = {"RESOLVED": ["reopen"], "NEW": ["acknowledge", "resolve", "snooze"]}
        keys = [*keys, *moves.get(found["status"], ["resolve", "snooze"]), "verdict", *["undo"] * triage.can_undo()]
    triage.keyboard(keys)
    if view.locked and not view.away:
        st.caption("You may look at all of it; settling it takes the role planner.")


# --- the chart -------------------------------------------------------------------------------------------------------


def _series(view: View, found: dict[str, Any]) -> int | None:
    """The series the incident is about in the run on view; None when it has none."""
    index = reads.catalogue(view.run_id).index
    rows = index[(index[list(KEYS)] == [found[key] for key in KEYS]).all(axis=1)]
    return int(rows["series_id"].iloc[0]) if len(rows) else None


def window(first: Any, last: Any, last_day: dt.date) -> tuple[dt.date, dt.date]:
    """The days on view: eight weeks that end a week after the incident, or with the data."""
    end = min(pd.Timestamp(last) + pd.Timedelta(7, "D"), pd.Timestamp(last_day))
    start = min(end - pd.Timedelta(DAYS - 1, "D"), pd.Timestamp(first) - pd.Timedelta(14, "D"))
    return start.date(), end.date()


def notable(found: dict[str, Any]) -> pd.DataFrame:
    """The days that stood out, with the figures the rule used: day, actual, expected, low, high (the 95 % band),
    impact."""
    frame = pd.DataFrame(found["days"], columns=["day", "actual", "expected", "lo", "hi", "impact"])
    return frame.rename(columns={"lo": "low", "hi": "high"}).astype(
        dict.fromkeys(("actual", "expected", "low", "high"), "float64")
    )


def on_rule(days: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """The days with the figures the rule itself used on those that stood out, so that the chart and the sentence above
    it agree. ``own``: of ``notable``."""
    days = days.copy().set_index("date")
    for row in own.itertuples():
        day = pd.Timestamp(row.day)
        if day not in days.index:
            continue
        for column, value in (("expected", row.expected), ("low95", row.low), ("high95", row.high)):
            if value is not None and np.isfinite(value):
                days.loc[day, column] = value
    days["low80"], days["high80"] = days[["low80", "low95"]].max(axis=1), days[["high80", "high95"]].min(axis=1)
    return days.reset_index()


def _chart(view: View, found: dict[str, Any]) -> None:
    series_id = _series(view, found)
    if series_id is None:
        st.caption("This series is not part of the run on view, so there is no chart of it.")
        return
    first, last = window(found["first_day"], found["day"], view.last_day)
    if first > view.last_day:
        st.caption("The run on view ends before this incident.")
        return
    own = notable(found)
    days = on_rule(reads.expected_days(view.run_id, series_id, first, last), own)
    marks = own.assign(date=pd.to_datetime(own["day"]))[["date", "actual", "impact"]]
    figure, alt = charts_inbox.incident_chart(
        days,
        marks,
        first=pd.Timestamp(found["first_day"]),
        last=pd.Timestamp(found["day"]),
        measure=text.axis("units", "day"),
        dark=view.dark,
        strips=_strips(view, series_id, first, last, set(marks["date"]) if found["kind"] == "DATA_QUALITY" else set()),
    )
    st.plotly_chart(figure, key=f"incident_chart_{view.dark}", config=CONFIG, alt=alt)
    if not days["expected"].notna().any():
        st.caption("No forecast of these days is kept, so there is no usual range to show.")
    names = [(name, str(found[key] or "")) for key, name in zip(KEYS[1:], ("category", "region", "store"), strict=True)]
    where = (("level", str(found["level"])), *((name, value) for name, value in names if value))
    link(view, Link("forecasts", where), "Its forecast and what to do", icon=":material/trending_up:")


def _strips(view: View, series_id: int, first: dt.date, last: dt.date, doubted: set[pd.Timestamp]) -> pd.DataFrame:
    """What else was on those days: date, promotion, events, closed, stockout. Of days whose data are ``doubted``, that
    nothing was sold does not say that it was closed."""
    table = reads.table(view.run_id, reads.series_choice(view.run_id, series_id), "units", "day")
    rows = table[(table["date"] >= pd.Timestamp(first)) & (table["date"] <= pd.Timestamp(last))]
    rows = rows[["date", "promotion", "events", "closed", "stockout"]]
    return rows.assign(closed=rows["closed"].where(~rows["date"].isin(doubted), 0.0)) if doubted else rows


# --- what it is made of ----------------------------------------------------------------------------------------------


def _parts(view: View, parts: pd.DataFrame) -> None:
    st.subheader("What it is made of", anchor=False)
    st.markdown(text.sentence(chart_findings.parts(parts)))
    figure, alt = charts_inbox.contributions_chart(parts, measure=text.plotly(text.UNITS["units"]), dark=view.dark)
    st.plotly_chart(figure, key=f"parts_chart_{view.dark}", config=CONFIG, alt=alt)
    total = float(parts["gap"].sum())
    st.caption(
        f"Actual less expected on the days that stood out. The bars add up to {text.full(total)} "
        f"{text.measure_inline('units')}."
    )


def _rule(found: dict[str, Any]) -> None:
    st.subheader("The rule, with its figures", anchor=False)
    for line in found.get("rule") or ["The rule's figures were not kept."]:
        st.markdown("- " + text.sentence(line))


def _similar(view: View, found: dict[str, Any]) -> None:
    """What was like it, how it ended and why, each with the way there. Sentences, not a table: they are read whole on
    every screen."""
    st.subheader("The like of it before", anchor=False)
    frame = found.get("similar")
    if frame is None or frame.empty:
        st.caption("Nothing like it is on record.")
        return
    for row in frame.to_dict("records"):
        where = Link("anomaly-inbox", (("incident", str(int(row["incident_id"]))),))
        link(view, where, f"{text.day(row['first_day'])}: **{text.markdown(_ended(row))}**", icon=":material/history:")
        note = inbox.said(row["note"])
        note = note[:1].upper() + note[1:]
        st.markdown(text.sentence(row["headline"]) + (f"  \n:gray[{text.sentence(note)}]" if note else ""))


def _ended(row: Any) -> str:
    words, verdict = inbox.STATUSES.get(row["status"], str(row["status"])), inbox.said(row["disposition"])
    return f"{words}: {verdict.replace('_', ' ')}" if verdict else words


def _calendar(found: dict[str, Any]) -> None:
    """What its verdict put into the calendar."""
    frame = found.get("calendar")
    if frame is None or frame.empty:
        return
    st.subheader("In the calendar", anchor=False)
    for row in frame.to_dict("records"):
        first, last = text.day(row["first_day"]), text.day(row["last_day"])
        days = first if first == last else f"{first} to {last}"
        where = text.markdown(row["region"]) if row["region"] else "everywhere"
        st.markdown(f"- **{text.markdown(row['event'], 100)}**, {days}, {where} ({text.markdown(row['set_by'])})")


def _log(found: dict[str, Any]) -> None:
    st.subheader("Log", anchor=False)
    frame = found.get("events")
    if frame is None or frame.empty:
        st.caption("Nobody has moved it yet.")
        return
    _lines([_move_words(row) for row in frame.to_dict("records")], "incident_log")


def _move_words(row: dict[str, Any]) -> str:
    """A move in a line: what, by whom, when, and why."""
    what = MOVES.get(str(row["action"]), text.plain(row["action"]).replace("_", " ").capitalize())
    by = "" if row["who"] == DETECTOR else f" by {text.markdown(row['who'])}"
    note = inbox.said(row["note"])
    return f"**{text.markdown(what)}**{by}, {text.moment(row['at'])}" + (f": {text.sentence(note)}" if note else "")


def _lines(lines: list[str], key: str) -> None:
    """Lines of markdown, read whole on every screen; of many, the later ones can be opened."""
    with st.container(key=key):
        st.markdown("\n".join(f"- {line}" for line in lines[:MOST_LINES]))
        if len(lines) > MOST_LINES:
            with st.expander(f"{text.full(len(lines) - MOST_LINES)} more", key=f"{key}_more"):
                st.markdown("\n".join(f"- {line}" for line in lines[MOST_LINES:]))


def _mails(found: dict[str, Any]) -> None:
    """Who was told, what became of it, and the message itself."""
    st.subheader("Who was told", anchor=False)
    frame = found.get("mails")
    if frame is None or frame.empty:
        urgent = found["impact"] == "HIGH"
        st.caption(
            "Nobody: no message was written about it. What a first look at a past finds, and what is held back, is not "
            "mailed."
            if urgent
            else "Nobody by name: only incidents of high impact are mailed at once, the others are in the next digest."
        )
        return
    rows = frame.to_dict("records")
    kept = [alert_reads.why_kept(row) for row in rows]
    if any(kept):
        st.warning(
            "The message was written and is kept here to be read, but not sent. "
            + text.sentence(next(why for why in kept if why)),
            icon=":material/mail_off:",
        )
    _lines([_mail_words(row, why) for row, why in zip(rows, kept, strict=True)], "incident_mails")
    with st.expander("The message", key="incident_message"):
        st.text(str(frame["subject"].iloc[0]))
        st.text(str(frame["body_text"].iloc[0]))


def _mail_words(row: dict[str, Any], why: str) -> str:
    """What became of a message, in a line; ``why``: it is kept here and not sent, for this reason."""
    state = alerts.STATES["kept" if why else alerts.STATE_OF[row["status"]]]
    reason = alerts.REASONS.get(str(row["reason"]), text.plain(row["reason"]))
    when = text.moment(row["created"] if pd.isna(row["sent_at"]) else row["sent_at"])
    facts = [f"**{text.markdown(state)}** to {text.markdown(row['recipient'])}", text.markdown(reason), when]
    if row["attempts"]:
        facts.append(text.count(int(row["attempts"]), "attempt"))
    answer = alerts.said_of(row, "last_error")
    return " · ".join([*facts, *([text.sentence(answer)] if answer and not why else [])])


# --- the customer's plain rule beside ours ---------------------------------------------------------------------------


def _plain(view: View, found: dict[str, Any]) -> None:
    """Both rules on the incident's own series. The body runs when it is open only: it asks for a year of days."""
    box = st.expander("Compare with the plain rule of the specification", on_change="rerun", key="incident_plain")
    if not box.open:
        return
    with box:
        series_id = _series(view, found)
        if series_id is None:
            st.caption("This series is not part of the run on view.")
            return
        plain = reads.plain_rule(view.run_id, series_id, 365)
        flagged = flagged_days(plain)
        choice = reads.series_choice(view.run_id, series_id)
        grid = reads.table(view.run_id, choice, "units", "day")[["date", "actual"]]
        end = pd.Timestamp(view.last_day)
        days = grid[(grid["date"] <= end) & (grid["date"] > end - pd.Timedelta(DAYS, "D"))]
        span = days["date"]
        ours = reads.marked_days(view.run_id, series_id)
        ours, flagged = [[day for day in found if day in set(span)] for found in (ours, flagged)]
        figure, alt = charts_inbox.comparison_chart(
            days, ours, flagged, measure=text.axis("units", "day"), dark=view.dark
        )
        both = len(set(ours) & set(flagged))
        st.markdown(
            f"In the last {DAYS} days the plain rule flags {text.count(len(flagged), 'day')} of this series, TrendCast "
            f"{text.count(len(ours), 'day')}, {both} of them in common."
        )
        st.plotly_chart(figure, key=f"plain_chart_{view.dark}", config=CONFIG, alt=alt)
        st.caption(
            "The plain rule compares a day with the mean and the spread of the 14 days that end with it. It knows no "
            "day of the week, holiday or promotion, and because the day itself is among the 14 its score cannot pass "
            f"{wording.fixed(PLAIN_HIGHEST, 2)}, so its HIGH level is never reached."
        )


def flagged_days(plain: pd.DataFrame) -> list[pd.Timestamp]:
    """The days the plain rule marks, of a frame that may hold the others too."""
    if plain.empty:
        return []
    marked = plain["impact"].notna() & (plain["impact"].astype(str) != "")
    return [pd.Timestamp(day) for day in plain.loc[marked, "date_id"]]
