"""The part "Alerts" of the Data page: how alerts leave the house, what became of each, and how the weeks went.

Who gets them and from when on is in ui.alert_rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from trendcast.errors import TrendCastError
from trendcast.ui import alert_reads, alert_rules, text, who
from trendcast.ui.shell import View
from trendcast.ui.states import calm

CHANNELS = {"email": "E-mail", "webhook": "Webhook"}
STATES = {
    "waiting": "Waiting",
    "sent": "Sent",
    "unknown": "Sent, no answer",
    "dead": "Could not be sent",
    "kept": "Kept here",
    "held": "Held back",
}
# Status of a message in the outbox -> its state here; what cannot be sent is kept (sql/mail_log.sql).
STATE_OF = {
    "PENDING": "waiting",
    "SENDING": "waiting",
    "SENT": "sent",
    "UNKNOWN": "unknown",
    "DEAD": "dead",
    "CANCELLED": "held",
}
REASONS = {
    "first": "Alert",
    "worse": "Got worse",
    "wider": "Spread",
    "reminder": "Reminder",
    "awake": "Snooze ended",
    "resolved": "Over",
    "storm": "One mail about many",
    "summary": "News of many",
    "digest": "Digest",
    "notice": "About TrendCast",
}
WHAT = {"mailed": "Mailed at once", "digest": "Left to the digest", "storm": "Part of one mail about many"}
MOST = 200  # messages listed
LINE = 78  # pixels of three lines of text in a table; above 64 Streamlit wraps the text of a cell
# Pixels: what a message is about and what became of it fit a telephone, all of them a screen of 1,440.
WIDTHS = {"Subject": 242, "State": 112, "To": 176, "When": 118, "Why": 92, "Answer": 236}


def section(view: View | None, *, away: bool) -> None:
    """The whole part. ``away``: the database does not answer, nothing can be changed."""
    admin = not away and who.actor().may("admin")
    planner = not away and who.actor().may("planner")
    _top()
    if not admin and not away:
        st.caption("You may look at all of this; recipients and thresholds are changed by an administrator.")
    _week()
    _channels(admin)
    _budget()
    _messages(planner)
    alert_rules.recipients(admin)
    alert_rules.thresholds(view, admin)
    alert_rules.silence(planner)


@calm
def _top() -> None:
    st.markdown("#### " + text.sentence(finding(alert_reads.channels(), alert_reads.budget())))


def finding(channels: Sequence[Mapping[str, Any]], budget: Mapping[str, Any]) -> str:
    """Whether alerts arrive, in a sentence or two."""
    mail = next(row for row in channels if row["channel"] == "email")
    hooked = any(row["channel"] == "webhook" and not row["missing"] for row in channels)
    waiting, dead = int(mail["waiting"]), int(mail["dead"])
    if mail["missing"]:
        parts = [str(mail["missing"])]
        if waiting:
            parts.append(f"{text.count(waiting, 'message')} {'is' if waiting == 1 else 'are'} kept here to be read.")
        if hooked:
            parts.append("The webhook is called.")
    elif not alert_rules.never(mail["failing_since"]):
        why = str(mail["last_error"] or "no answer").rstrip(".")
        parts = [f"Mail has not gone out since {text.moment(mail['failing_since'])}: {why}."]
        if waiting:
            parts.append(f"{text.count(waiting, 'message')} {'waits' if waiting == 1 else 'wait'}.")
    elif alert_rules.never(mail["last_ok"]):
        parts = ["Mail is set up, and nothing has been sent yet: a test shows whether it arrives."]
    elif mail["refused"]:
        parts = [f"Mail works, but {_refusals(mail['refused'])}"]
    else:
        parts = [f"Mail works: the last message was accepted on {text.moment(mail['last_ok'])}."]
    if dead > sum(int(row["messages"]) for row in mail["refused"]):  # those have been told
        parts.append(f"{text.count(dead, 'message')} of the last seven days could not be sent.")
    parts.append(
        f"{text.full(budget['used'])} of {text.count(int(budget['budget']), 'alert')} of the last 24 hours "
        f"{'is' if budget['used'] == 1 else 'are'} used."
    )
    return " ".join(parts)


def _refusals(refused: Sequence[Mapping[str, Any]]) -> str:
    """Who gets nothing, since when, and what to do."""
    first = refused[0]
    if len(refused) == 1:
        return alert_rules.refusal(first)
    return (
        f"the server refuses {text.count(len(refused), 'address', 'addresses')}, the first since "
        f"{text.moment(first['since'])}: “Who gets alerts” names them and what to do."
    )


# --- how they leave --------------------------------------------------------------------------------------------------


@calm
def _channels(admin: bool) -> None:
    st.subheader("How alerts leave", anchor=False)
    rows = alert_reads.channels()
    shown = pd.DataFrame(
        {
            "Way": [CHANNELS.get(row["channel"], row["channel"]) for row in rows],
            "How it does": [standing(row) for row in rows],
            "Where it leads": [text.plain(row["route"]) or text.NONE for row in rows],
            "Last accepted": [text.moment(row["last_ok"]) for row in rows],
            "Waiting": [text.full(row["waiting"]) for row in rows],
            "Dead letters, 7 days": [text.full(row["dead"]) for row in rows],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        key="alert_channels",
        row_height=66,
        column_config={
            "Way": st.column_config.TextColumn(width=80),
            "How it does": st.column_config.TextColumn(width=264),
            "Where it leads": st.column_config.TextColumn(width=216),
            "Last accepted": st.column_config.TextColumn(width=156),
            "Waiting": st.column_config.TextColumn(alignment="right", width=76),
            "Dead letters, 7 days": st.column_config.TextColumn(alignment="right", width=150),
        },
        alt=" ".join(f"{CHANNELS.get(row['channel'], row['channel'])}: {standing(row)}" for row in rows),
    )
    for row in rows:
        if row.get("note"):
            st.warning(text.sentence(row["note"]), icon=":material/link_off:")
    _self_test(rows, admin)


def standing(row: Mapping[str, Any]) -> str:
    """How a channel does, in plain words."""
    if row["missing"]:
        return text.plain(row["missing"])
    if not alert_rules.never(row["failing_since"]):
        help_ = " A setting is wrong: time alone does not help." if row["setup"] else " It is tried again by itself."
        why = text.plain(row["last_error"] or "no answer").rstrip(".")
        return f"Failing since {text.moment(row['failing_since'])}: {why}.{help_}"
    if row["refused"]:
        return f"Works, but not for {text.count(len(row['refused']), 'address', 'addresses')}."
    return "Not used yet." if alert_rules.never(row["last_ok"]) else "Works."


def _self_test(rows: Sequence[Mapping[str, Any]], admin: bool) -> None:
    mail = next(row for row in rows if row["channel"] == "email")
    with st.form("self_test", border=False):
        left, right = st.columns([3, 1], vertical_alignment="bottom")
        with left:
            address = st.text_input(
                "Send a test mail to",
                key="self_test_address",
                placeholder="name@example.com",
                max_chars=254,
                disabled=not admin,
            )
        with right:
            asked = st.form_submit_button(
                "Send a test",
                icon=":material/outgoing_mail:",
                disabled=not admin,
                key="self_test_send",
                width="stretch",
                help="One mail, now. What the mail server answers is shown here.",
            )
    if not asked:
        return
    try:
        with st.spinner("Speaking to the mail server, for up to a minute…"):
            answer = alert_reads.self_test(address)
    except TrendCastError as error:
        st.error(text.sentence(error), icon=":material/error:")
        return
    sentence = answered(answer)
    if answer["outcome"] == "sent":
        st.success(text.sentence(sentence), icon=":material/mark_email_read:")
    else:
        st.error(text.sentence(sentence), icon=":material/error:")
        if mail["missing"]:
            st.caption(text.sentence(mail["missing"]))


def answered(answer: Mapping[str, Any]) -> str:
    """What the server said to a test, in a sentence."""
    words = text.plain(answer["answer"] or "").strip()
    code = "" if answer["code"] is None else str(answer["code"])
    if words.startswith(code + " "):
        words = words[len(code) + 1 :]
    said = " ".join(part for part in (code, words) if part).rstrip(".")
    if answer["outcome"] == "sent":
        return f"The server answered {said}: the test mail is on its way to the mailbox."
    if code:
        return f"The server answered {said}: the test mail was not accepted."
    return f"The test mail was not sent: {said or 'the server gave no answer'}."


# --- the budget ------------------------------------------------------------------------------------------------------


@calm
def _budget() -> None:
    st.subheader("Alert budget", anchor=False)
    found = alert_reads.budget()
    whole, used = int(found["budget"]), int(found["used"])
    st.progress(
        min(1.0, used / whole) if whole else 1.0,
        text=f"{text.full(used)} of {text.full(whole)} incidents mailed at once in the last 24 hours, "
        f"{text.full(found['left'])} left",
    )
    rest = [f"{text.count(int(found['waiting']), 'open incident')} of medium or low impact for the next digest"]
    if not alert_rules.never(found["last_at"]):
        rest.append(f"the last one was written on {text.moment(found['last_at'])}: {found['last_subject']}")
    st.caption(text.sentence("; ".join(rest) + ". What the budget leaves out goes to the digest and is never dropped."))
    frame = found["incidents"]
    if frame.empty:
        return
    shown = pd.DataFrame(
        {
            "When": [text.moment(v) for v in frame["at"]],
            "What was made of it": [WHAT.get(v, v) for v in frame["what"]],
            "What happened": [text.plain(v) for v in frame["headline"]],
        }
    )
    left_out = int((frame["what"] != "mailed").sum())
    box = st.expander(
        f"{text.count(len(frame), 'urgent incident')} of the last 24 hours, {text.full(left_out)} not mailed by itself",
        key="budget_list",
    )
    with box:
        st.dataframe(
            shown,
            hide_index=True,
            height="content" if len(shown) < 12 else 420,
            key="alert_budget",
            row_height=LINE,
            column_config={
                "When": st.column_config.TextColumn(width=110),
                "What was made of it": st.column_config.TextColumn(width=130),
            },
            alt=f"{len(shown)} urgent incidents of the last 24 hours.",
        )


# --- every message ---------------------------------------------------------------------------------------------------


@calm
def _messages(planner: bool) -> None:
    st.subheader("Messages", anchor=False)
    states = st.multiselect(
        "State",
        list(STATES),
        format_func=STATES.__getitem__,
        key="mail_states",
        placeholder="All states",
        width=420,
    )
    frame = alert_reads.mails(tuple(states), MOST)
    if frame.empty:
        st.caption("No message fits." if states else "No message has been written yet: alerts and digests appear here.")
        return
    rows = frame.to_dict("records")
    shown = pd.DataFrame(
        {
            "Subject": [text.plain(row["subject"]) for row in rows],
            "State": [STATES[str(row["state"])] for row in rows],
            "To": ["nobody" if row["recipient"] == "nobody" else text.plain(row["recipient"]) for row in rows],
            "When": [_when(row) for row in rows],
            "Why": [REASONS.get(str(row["reason"]), text.plain(row["reason"])) for row in rows],
            "Answer": [said_of(row) for row in rows],
        }
    )
    event = st.dataframe(
        shown,
        hide_index=True,
        key="mail_list",
        on_select="rerun",
        selection_mode="single-cell",
        row_height=LINE,
        height="content" if len(shown) < 7 else 460,
        column_config={name: st.column_config.TextColumn(width=width) for name, width in WIDTHS.items()},
        alt=f"{len(shown)} messages, the newest first.",
    )
    total = int(frame["total"].iloc[0])
    more = f" The newest {text.full(len(frame))} of {text.full(total)}." if total > len(frame) else ""
    st.caption(f"A click on a line opens the message as it was rendered.{more}")
    alert_rules.said(alert_rules.MESSAGES)
    chosen = event.get("selection", {}) if event else {}
    picked = [int(cell[0]) for cell in chosen.get("cells") or []]
    if picked and picked[0] < len(rows):
        _message(rows[picked[0]], planner)


def _when(row: Mapping[str, Any]) -> str:
    """When it went out, or was written."""
    return text.moment(row["created"] if pd.isna(row["sent_at"]) else row["sent_at"])


def said_of(row: Mapping[str, Any], words: str = "why") -> str:
    """What the other side answered, or why a message stays. ``words``: the column that has it."""
    code = "" if pd.isna(row["last_code"]) else f"{int(row['last_code'])}"
    said = text.plain(row[words]) if isinstance(row[words], str) else ""
    return said if not code or said.startswith(code) else f"{code} {said}".strip()


def _message(row: Mapping[str, Any], planner: bool) -> None:
    """One message as it was rendered: its text as text, its HTML as source."""
    found = alert_reads.message(int(row["id"]))
    with st.container(border=True, key="mail_open"):
        st.markdown(f"**{text.sentence(found['subject'])}**")
        to = "nobody" if found["recipient"] == "nobody" else found["recipient"]
        facts = [f"To {to}", REASONS.get(str(found["reason"]), str(found["reason"])), STATES[str(row["state"])]]
        facts += [_when(row), text.count(int(row["attempts"]), "attempt")]
        facts.append(f"Message-ID {found['message_id']}")
        st.caption(" · ".join(text.markdown(fact, 200) for fact in facts))
        if said_of(row):
            answer = said_of(row) if pd.isna(row["last_code"]) else f"The server answered {said_of(row)}"
            st.markdown(text.sentence(answer.rstrip(".") + "."))
        if row["status"] == "DEAD":
            st.button(
                "Send it again",
                icon=":material/replay:",
                on_click=_again,
                args=(int(row["id"]),),
                disabled=not planner,
                key="mail_again",
                help="Another 24 hours of attempts, under the same Message-ID.",
            )
        st.text(str(found["body_text"]))
        if found["body_html"]:
            source = st.expander("The HTML part, as source", key="mail_html")
            with source:
                st.code(str(found["body_html"]), language="html", wrap_lines=True)


def _again(number: int) -> None:
    try:
        row = alert_reads.send_again(number)
    except TrendCastError as error:
        alert_rules.say(alert_rules.MESSAGES, str(error), good=False)
        return
    alert_rules.say(alert_rules.MESSAGES, f"The message to {row['recipient']} is sent again.")


# --- week by week ----------------------------------------------------------------------------------------------------


@calm
def _week() -> None:
    """How the alerts of the last weeks were worth their reading."""
    found = alert_reads.weeks()
    weeks = found["weeks"]
    now, before = weeks.iloc[-1], weeks.iloc[-2]
    with st.grid(4, min_column_width=160, key="alert_week"):
        st.metric(
            "Right alerts",
            text.percent(found["precision"], 0),
            help="Of the findings somebody judged in the last eight weeks, the share that was real: confirmed or a new "
            "normal, not a false alarm.",
            delta=f"of {text.full(found['judged'])} judged" if found["judged"] else "nothing judged yet",
            delta_color="off",
            delta_arrow="off",
        )
        st.metric("False alarms", text.full(found["false_alarms"]), delta="in eight weeks", delta_color="off",
                  delta_arrow="off", help="Findings that somebody closed as a false alarm.")  # fmt: skip
        st.metric(
            "Not acknowledged",
            text.full(found["unseen"]),
            delta=f"the oldest for {text.age(3600 * found['oldest_hours'])}" if found["unseen"] else "nothing waits",
            delta_color="off",
            delta_arrow="off",
            help="Incidents nobody has taken on yet.",
        )
        st.metric(
            "Mails this week",
            text.full(int(now["alerts"])),
            delta=f"{text.full(int(before['alerts']))} last week",
            delta_color="off",
            delta_arrow="off",
            help="Alerts the mail server accepted, without digests. Weeks begin on Monday.",
        )
    table = pd.DataFrame(
        {
            "Week": [text.week(v) for v in weeks["week"]],
            "Incidents": weeks["incidents"].astype(int),
            "Mails": weeks["alerts"].astype(int),
            "Digests": weeks["digests"].astype(int),
            "Judged real": weeks["real"].astype(int),
            "False alarms": weeks["false_alarms"].astype(int),
            "Expected": weeks["expected"].astype(int),
        }
    ).iloc[::-1]
    with st.expander("Week by week", key="alert_weeks"):
        st.dataframe(
            table,
            hide_index=True,
            height="content",
            key="alert_weeks_table",
            column_config={"Week": st.column_config.TextColumn(pinned=True)},
            alt="Incidents, mails and verdicts of the last eight weeks.",
        )
