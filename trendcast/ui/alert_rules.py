"""Who gets alerts, from which figures on, and what is silent for a while: the forms of the part "Alerts"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from trendcast.errors import TrendCastError
from trendcast.services.suppressions import KINDS
from trendcast.services.thresholds import DAYS, LEVELS, NAMES, node
from trendcast.ui import alert_reads, reads, states, text, triage
from trendcast.ui.shell import View
from trendcast.ui.states import calm

IMPACTS = {"HIGH": "High only", "MEDIUM": "Medium and high", "LOW": "All"}
NEW = 0  # in the choice of an entry: none of those there are
# Where on the page a change is said.
MESSAGES, RECIPIENTS, THRESHOLDS, SILENT, SILENCE = "messages", "recipients", "thresholds", "silent", "silence"
_SAID, _TURN, _PREVIEW = "alerts_said", "alerts_turn", "alerts_preview"
_DIMENSIONS = ("product_category", "region", "store")
_CALLED = {"product_category": "Category", "region": "Region", "store": "Store"}


# --- what the last change did ----------------------------------------------------------------------------------------


def say(place: str, words: str, *, good: bool = True) -> None:
    """Keep what a change did, to be said where the person is looking when the page is drawn: at ``place``."""
    st.session_state[_SAID] = (place, words, good)


def said(place: str) -> None:
    """What the last change here did, or why it did not: right above the button, as the page stays scrolled there."""
    found = st.session_state.get(_SAID)
    if found is None or found[0] != place:
        return
    del st.session_state[_SAID]
    _, words, good = found
    (st.success if good else st.error)(text.sentence(words), icon=":material/check:" if good else ":material/error:")


def never(value: Any) -> bool:
    """Whether there is no such moment (NaT is not equal to itself)."""
    return value is None or value != value


def _turn() -> int:
    """Part of the keys of the forms: after a change they are empty again."""
    return int(st.session_state.get(_TURN, 0))


def _do(place: str, change: Callable[[], Any], words: str) -> None:
    """Make a change and say so at ``place``, or the sentence why it was refused."""
    try:
        change()
    except TrendCastError as error:
        say(place, str(error), good=False)
        return
    say(place, words)
    st.session_state[_TURN] = _turn() + 1
    st.session_state.pop(_PREVIEW, None)


# --- recipients ------------------------------------------------------------------------------------------------------


@calm
def recipients(admin: bool) -> None:
    """Who gets alerts: by the environment, and by the list that is kept here."""
    st.subheader("Who gets alerts", anchor=False)
    everybody = alert_reads.everybody()
    if everybody:
        names = text.listing([text.markdown(one) for one in everybody], 20)
        st.markdown(f"Everything, set by the environment (`ALERT_RECIPIENTS`, read only here): {names}.")
    else:
        st.caption("`ALERT_RECIPIENTS` names nobody.")
    rows = alert_reads.recipients()
    if rows:
        st.dataframe(
            pd.DataFrame(
                {
                    "Address": [text.plain(row["address"]) for row in rows],
                    "Category": [text.plain(row["product_category"]) or "All" for row in rows],
                    "Region": [text.plain(row["region"]) or "All" for row in rows],
                    "Impact": [IMPACTS[row["impact_level"]] for row in rows],
                    "Digests": ["Yes" if row["digest"] else "No" for row in rows],
                    "Added by": [f"{text.plain(row['created_by'])}, {text.day(row['created_at'])}" for row in rows],
                }
            ),
            hide_index=True,
            height="content" if len(rows) < 12 else 420,
            key="alert_recipients",
            column_config={"Address": st.column_config.TextColumn(pinned=True)},
            alt=f"{len(rows)} recipients kept here, by address.",
        )
    elif not everybody:
        st.markdown("Nobody is told of anything yet: incidents wait in the inbox until somebody is added here.")
    for one in next(row for row in alert_reads.channels() if row["channel"] == "email")["refused"]:
        st.warning(text.sentence(_capital(refusal(one))), icon=":material/unsubscribe:")
    if admin:
        _recipient_form(rows)


def refusal(row: Mapping[str, Any]) -> str:
    """Which address gets nothing, since when and why, and what to do; begins in the middle of a sentence."""
    why = " ".join(text.plain(row["error"] or "").split()).rstrip(".")
    code = "" if row["code"] is None or why.startswith(str(row["code"])) else f"{row['code']} "
    where = "in ALERT_RECIPIENTS" if row["in_settings"] else "under “Who gets alerts”"
    return (
        f"the server has refused {text.plain(row['recipient'])} since {text.moment(row['since'])} ({code}{why}): "
        f"{text.count(int(row['messages']), 'message')} did not arrive. Correct the address or take it out {where}."
    )


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _recipient_form(rows: Sequence[Mapping[str, Any]]) -> None:
    by_id = {int(row["id"]): row for row in rows}
    number = NEW
    if rows:
        number = st.selectbox(
            "Recipient",
            [NEW, *by_id],
            format_func=lambda one: "Add one" if one == NEW else _recipient(by_id[one]),
            key=f"recipient_entry_{_turn()}",
            width=420,
        )
    row: Mapping[str, Any] = by_id.get(
        number, {"address": "", "product_category": "", "region": "", "impact_level": "LOW", "digest": True}
    )
    key = f"recipient_{number}_{_turn()}"
    names = alert_reads.scopes()
    with st.form(key, border=True):
        with st.grid(4, min_column_width=180, key=f"{key}_fields"):
            st.text_input(
                "Mail address",
                row["address"],
                key=f"{key}_address",
                disabled=number != NEW,
                placeholder="name@example.com",
                max_chars=254,
            )
            for name, label in (("product_category", "Category"), ("region", "Region")):
                offered = ["", *names["category" if name == "product_category" else "region"]]
                if row[name] not in offered:
                    offered.append(str(row[name]))
                st.selectbox(
                    label,
                    offered,
                    index=offered.index(str(row[name])),
                    format_func=lambda value: text.plain(value) or "All",
                    key=f"{key}_{name}",
                )
            st.selectbox(
                "Impact",
                list(IMPACTS),
                index=list(IMPACTS).index(row["impact_level"]),
                format_func=IMPACTS.__getitem__,
                key=f"{key}_impact_level",
                help="High impact is mailed at once; what is below it comes with the digests.",
            )
        st.checkbox("Digests at 08:00 and 14:00", bool(row["digest"]), key=f"{key}_digest")
        said(RECIPIENTS)
        with st.container(horizontal=True):
            st.form_submit_button(
                "Add" if number == NEW else "Save",
                type="primary",
                on_click=_save_recipient,
                args=(number, key),
                key=f"{key}_save",
            )
            if number != NEW:
                st.form_submit_button(
                    "Remove",
                    icon=":material/delete:",
                    on_click=_remove_recipient,
                    args=(number, str(row["address"])),
                    key=f"{key}_remove",
                )


def _recipient(row: Mapping[str, Any]) -> str:
    places = " in ".join(text.plain(row[name]) for name in ("product_category", "region") if row[name])
    return f"{text.plain(row['address'])}: {places or 'everything'}"


def _save_recipient(number: int, key: str) -> None:
    asked = {
        name: st.session_state.get(f"{key}_{name}") for name in ("product_category", "region", "impact_level", "digest")
    }
    address = str(st.session_state.get(f"{key}_address") or "")
    if number == NEW:
        _do(
            RECIPIENTS,
            lambda: alert_reads.add_recipient(address=address, **asked),
            f"{address.strip()} gets alerts from now on.",
        )
    else:
        _do(RECIPIENTS, lambda: alert_reads.change_recipient(number, **asked), f"What {address} hears of is changed.")


def _remove_recipient(number: int, address: str) -> None:
    _do(RECIPIENTS, lambda: alert_reads.remove_recipient(number), f"{address} gets no more alerts by this entry.")


# --- thresholds ------------------------------------------------------------------------------------------------------


@calm
def thresholds(view: View | None, admin: bool) -> None:
    """From which figures on something counts: for everything, a category or one series; the narrowest that fits
    holds. A change is tried on the last 90 days before it can be saved."""
    st.subheader("From when on", anchor=False)
    frame = alert_reads.thresholds()
    if frame.empty:
        st.caption("Nothing is set: the rules' own figures hold.")
    else:
        st.dataframe(
            pd.DataFrame(
                {
                    "Figure": [_label(name) for name in frame["name"]],
                    "For": [_node(row) for row in frame.to_dict("records")],
                    "Value": [_value(n, v) for n, v in zip(frame["name"], frame["value"], strict=True)],
                    "Why": [text.plain(v or "") for v in frame["reason"]],
                    "Set by": [
                        f"{text.plain(who)}, {text.day(at)}"
                        for who, at in zip(frame["set_by"], frame["set_at"], strict=True)
                    ],
                }
            ),
            hide_index=True,
            height="content" if len(frame) < 12 else 420,
            key="alert_thresholds",
            # A telephone shows some 350 of it: the figure and its value stand there, and lines are high enough to wrap.
            row_height=66,
            column_config={
                "Figure": st.column_config.TextColumn(width=150),
                "For": st.column_config.TextColumn(width=108),
                "Value": st.column_config.TextColumn(width=84, alignment="right"),
            },
            alt=f"{len(frame)} thresholds; the narrowest that fits holds.",
        )
        st.caption("The narrowest that fits holds. Where nothing is set, the rule's own figure does.")
    if admin:
        _threshold_form(view, frame)
    said(THRESHOLDS)


def _label(name: str) -> str:
    return NAMES[name].label if name in NAMES else text.plain(name)


def _node(row: Mapping[str, Any]) -> str:
    names = [text.plain(row[one]) for one in _DIMENSIONS]
    return _capital(node(str(row["level"]), *names))


def _value(name: str, value: float) -> str:
    about = NAMES.get(name)
    if about is None or about.unit == "money":
        return text.full_amount(value, "money")
    return text.percent(value) if about.unit == "share" else f"{text.full(value)} {text.measure_inline('units')}"


def _threshold_form(view: View | None, frame: pd.DataFrame) -> None:
    entries = {int(row["id"]): row for row in frame.to_dict("records")}
    number = NEW
    if entries:
        number = st.selectbox(
            "Threshold",
            [NEW, *entries],
            format_func=lambda one: (
                "Add one" if one == NEW else f"{_label(entries[one]['name'])}: {_node(entries[one])}"
            ),
            key=f"threshold_entry_{_turn()}",
            width=520,
        )
    key = f"threshold_{number}_{_turn()}"
    with st.container(border=True, key=f"{key}_box"):
        what = _kept(entries[number], key) if number != NEW else _asked(view, key)
        about = NAMES[what["name"]]
        st.caption(text.sentence(about.default))
        with st.container(horizontal=True):
            tried = st.button(f"Try it on the last {DAYS} days", icon=":material/history:", key=f"{key}_preview")
            without = number != NEW and st.button(
                "Try without it", icon=":material/history_toggle_off:", key=f"{key}_without"
            )
        if tried or without:
            _try({**what, "value": None} if without else what)
        _outcome(what, number, key)


def _asked(view: View | None, key: str) -> dict[str, Any]:
    """A new threshold as the fields have it."""
    with st.grid(3, min_column_width=280, key=f"{key}_fields"):
        name = st.selectbox("Figure", list(NAMES), format_func=_label, key=f"{key}_name")
        level = st.selectbox(
            "For",
            _levels(view),
            format_func=lambda one: text.level(one) if one else "Everything",
            key=f"{key}_level",
        )
        scope = dict.fromkeys(_DIMENSIONS, "")
        for dimension in LEVELS[level]:
            if dimension == "region" and "store" in LEVELS[level]:
                continue  # a store's region follows from the store
            offered = _offered(view, level, dimension)
            picked = st.selectbox(_CALLED[dimension], offered, format_func=text.plain, key=f"{key}_{level}_{dimension}")
            scope[dimension] = str(picked or "")
        value = _number(name, None, key)
    return {"name": name, "level": level, **scope, "value": value}


def _kept(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    """One that is set, with another value."""
    value = _number(str(row["name"]), float(row["value"]), key)
    return {name: row[name] for name in ("name", "level", *_DIMENSIONS)} | {"value": value}


def _number(name: str, value: float | None, key: str) -> float:
    """The figure's own field: a share is asked for in per cent."""
    about = NAMES[name]
    share = about.unit == "share"
    times = 100.0 if share else 1.0
    unit = "%" if share else text.measure_inline("units") if about.unit == "units" else "money"
    asked = st.number_input(
        f"Value ({unit})",
        min_value=about.lowest * times,
        max_value=about.highest * times,
        value=None if value is None else value * times,
        step=1.0 if share else None,
        key=f"{key}_{name}_value",
        placeholder="A figure",
    )
    return float("nan") if asked is None else round(float(asked) / times, 9)


def _levels(view: View | None) -> list[str]:
    """The levels thresholds can have here, from the whole to the parts."""
    if view is None:
        return ["", "category", "region"]
    present = reads.catalogue(view.run_id).levels
    return ["", *(level for level in present if level in LEVELS)]


def _offered(view: View | None, level: str, dimension: str) -> list[str]:
    if view is not None:
        return list(reads.catalogue(view.run_id).options(level, dimension))
    return alert_reads.scopes()["category" if dimension == "product_category" else dimension]


def _try(what: dict[str, Any]) -> None:
    """Replay the last days with the figure, with progress, and keep the outcome beside what was asked."""
    if what["value"] is not None and what["value"] != what["value"]:
        st.error("Write a figure first.", icon=":material/error:")
        return
    st.session_state.pop(_PREVIEW, None)
    slot = st.empty()
    with slot.container():
        bar = st.progress(0.0, text="Reading the sales")
        st.button("Stop", icon=":material/stop:", on_click=_stopped, key="threshold_stop")

    def progress(stage: str = "", done: float = 0, total: float = 0, **_: Any) -> None:
        # A click on Stop, or anywhere else, ends the trial here: nothing has been written.
        bar.progress(states.share(done, total), text=text.markdown(states.stage(stage) or "Working"))

    try:
        found = alert_reads.preview(progress, **what)
    except TrendCastError as error:
        st.error(text.sentence(error), icon=":material/error:")
        return
    finally:
        slot.empty()
    st.session_state[_PREVIEW] = (what, found)


def _stopped() -> None:
    say(THRESHOLDS, "The trial was stopped. Nothing has changed.")


def _outcome(what: dict[str, Any], number: int, key: str) -> None:
    """What the trial showed, and only then the way to keep it."""
    held = st.session_state.get(_PREVIEW)
    if held is None:
        st.caption("A threshold can be saved after it was tried.")
        return
    tried, found = held
    without = number != NEW and tried == {**what, "value": None}
    if tried != what and not without:
        if all(tried[name] == what[name] for name in ("name", "level", *_DIMENSIONS)):
            st.caption("The figure is another than the one that was tried: try it again before saving.")
        else:
            st.caption("A threshold can be saved after it was tried.")
        return
    st.markdown("**" + text.sentence(found.sentence) + "**")
    with st.grid(4, min_column_width=140, key=f"{key}_outcome"):
        for label, now, then in (
            ("Incidents", found.after, found.before),
            ("Of high impact", found.high_after, found.high_before),
            ("Mails", found.mails_after, found.mails_before),
        ):
            st.metric(
                label, text.full(now), delta=f"instead of {text.full(then)}", delta_color="off", delta_arrow="off"
            )
        st.metric("Confirmed ones missed", text.full(found.lost_confirmed))
    if found.examples:
        _examples(found.examples)
    if without:
        st.button(
            "Remove this threshold",
            icon=":material/delete:",
            type="primary",
            on_click=_remove_threshold,
            args=(number,),
            key=f"{key}_remove",
        )
        return
    with st.form(f"{key}_save_form", border=False):
        st.text_input(
            "Why", key=f"{key}_reason", max_chars=500, placeholder="For whoever wonders why an alert does not come"
        )
        said(THRESHOLDS)
        st.form_submit_button("Save", type="primary", on_click=_save_threshold, args=(what, key), key=f"{key}_save")


def _examples(examples: Sequence[Mapping[str, Any]]) -> None:
    """The incidents that would have been others: a list, as sentences in a table are cut where it is narrow."""
    st.caption("What would have been otherwise, the most serious first:")
    lines = []
    for one in examples:
        now, then = _impact(one["after"]), _impact(one["before"]).lower()
        lines.append(f"- **{now}** instead of {then}: {text.sentence(one['headline'])}")
    st.markdown("\n".join(lines))


def _impact(value: Any) -> str:
    return {"HIGH": "High", "MEDIUM": "Medium", "LOW": "Low"}.get(str(value), "No incident")


def _save_threshold(what: dict[str, Any], key: str) -> None:
    reason = str(st.session_state.get(f"{key}_reason") or "")
    _do(
        THRESHOLDS,
        lambda: alert_reads.put_threshold(**what, reason=reason),
        f"{_label(what['name'])}: {_value(what['name'], what['value'])} for {node(what['level'], *_scope(what))}. "
        "It holds from the next data on.",
    )


def _remove_threshold(number: int) -> None:
    _do(
        THRESHOLDS,
        lambda: alert_reads.remove_threshold(number),
        "The threshold is removed; what is broader holds again.",
    )


def _scope(what: Mapping[str, Any]) -> list[str]:
    return [str(what[name]) for name in _DIMENSIONS]


# --- what is silent for a while --------------------------------------------------------------------------------------


@calm
def silence(planner: bool) -> None:
    """What nobody is mailed about, and until when."""
    st.subheader("Silent for a while", anchor=False)
    rows = alert_reads.suppressions()
    if not rows:
        st.caption("Nothing is suppressed: every alert that is due is sent.")
    for row in rows:
        with st.container(horizontal=True, vertical_alignment="center", key=f"silent_{row['id']}"):
            st.markdown(silent_words(row))
            st.button(
                "End it",
                icon=":material/notifications_active:",
                on_click=_end,
                args=(int(row["id"]),),
                disabled=not planner,
                key=f"silent_{row['id']}_end",
            )
    said(SILENT)
    if planner:
        _silence_form()


def silent_words(row: Mapping[str, Any]) -> str:
    """One suppression in a sentence, as markdown: what, until when, why, who, and what it held back."""
    matcher = row["matcher"]
    named = [text.KINDS.get(matcher["kind"], matcher["kind"])] if matcher.get("kind") else []
    named += [str(matcher[name]) for name in _DIMENSIONS if matcher.get(name)]
    what = ", ".join(text.markdown(one) for one in named) or "Everything"
    held = f"; {text.count(int(row['mails']), 'message')} held back so far" if row["mails"] else ""
    return (
        f"**{what}** until {text.moment(row['until'])}: {text.markdown(row['reason'], 200)} "
        f"({text.markdown(row['who'])}{held})"
    )


def _silence_form() -> None:
    key = f"silence_{_turn()}"
    names = alert_reads.scopes()
    box = st.expander("Send nothing about something for a while", key="silence_box")
    with box, st.form(key, border=False):
        with st.grid(4, min_column_width=180, key=f"{key}_fields"):
            st.selectbox(
                "Kind", ["", *KINDS], format_func=lambda one: text.KINDS.get(one, "Every kind"), key=f"{key}_kind"
            )
            for name, offered in (("product_category", names["category"]), ("region", names["region"])):
                st.selectbox(
                    _CALLED[name],
                    ["", *offered],
                    format_func=lambda value: text.plain(value) or "All",
                    key=f"{key}_{name}",
                )
            triage.until_field(key, "On that day mails are sent again.")
        st.text_input("Why", key=f"{key}_reason", max_chars=500)
        said(SILENCE)
        st.form_submit_button("Be silent", on_click=_suppress, args=(key,), key=f"{key}_save")
    st.caption("Incidents are found and listed all the same; only their mails are held back.")


def _suppress(key: str) -> None:
    state = st.session_state
    matcher = {name: str(state.get(f"{key}_{name}") or "") for name in ("kind", "product_category", "region")}
    until = state.get(f"{key}_until")
    _do(
        SILENCE,
        lambda: alert_reads.suppress(matcher=matcher, until=until, reason=str(state.get(f"{key}_reason") or "")),
        "Mails about it are held back until then.",
    )


def _end(number: int) -> None:
    _do(SILENT, lambda: alert_reads.end_suppression(number), "Mails about it are sent again.")
