"""Incidents for people: the inbox, one incident with all behind it, moves and verdicts, and the finding above them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np
import pandas as pd

from trendcast import wording
from trendcast.anomalies import explain
from trendcast.errors import Conflict, InvalidInput, NotFound, Stale
from trendcast.services.detect import last_detection
from trendcast.services.detect_window import CORRECTIONS, FIRST_READ
from trendcast.services.listing import Page, counted

if TYPE_CHECKING:
    from trendcast.services.forecast import RunInfo
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database

OPEN = ("NEW", "ACKNOWLEDGED")
STATUSES = (*OPEN, "RESOLVED")
# Verdicts and the state they leave: what is real stays with its owner, the others are settled.
VERDICTS = {
    "expected": "RESOLVED",
    "new_normal": "RESOLVED",
    "false_alarm": "RESOLVED",
    "data_issue": "RESOLVED",
    "confirmed": "ACKNOWLEDGED",
}
ACTIONS = ("acknowledge", "resolve", "reopen", "snooze", *VERDICTS, "undo")
# What is to be written in the note of a move that needs one.
NEEDS_NOTE = {
    "resolve": "what was found or done",
    "expected": "what was expected",
    "data_issue": "what is wrong with the data",
}
LONGEST_EVENT = timedelta(days=60)
OVER_DAYS = 3  # an incident without a notable day for longer is over
FIRST_OF = 50  # open ones that the first to look at is taken from
_STATE = (
    "status", "owner", "snoozed_until", "disposition", "note", "acked_by", "acked_at", "resolved_by", "resolved_at",
)  # fmt: skip
_NUMBERS = ("actual", "expected", "low", "high", "score", "loss", "loss_units")


class Wanted(TypedDict, total=False):
    """Which incidents, or logged anomalies: an empty list filters nothing; ``since``: what was notable on that day or
    later."""

    statuses: Sequence[str]
    impacts: Sequence[str]
    kinds: Sequence[str]
    categories: Sequence[str]
    regions: Sequence[str]
    stores: Sequence[str]
    since: date | None


def _filters(wanted: Wanted) -> dict[str, Any]:
    given: dict[str, Any] = {**wanted}
    lists = ("statuses", "impacts", "kinds", "categories", "regions", "stores")
    return {**{name: list(given.get(name, ())) for name in lists}, "since": given.get("since")}


def inbox(
    db: Database, *, limit: int = 500, offset: int = 0, snoozed: bool | None = None, **wanted: Unpack[Wanted]
) -> pd.DataFrame:
    """Incidents, of those that are open unless ``statuses`` are named, the open ones first, by the money at stake; an
    incident of many is there for each of its members. ``snoozed``: whether those are wanted that somebody put off to a
    later day; None: both.

    ``day`` is the newest day that was notable, actual to score those of the worst one (``worst_day``), ``loss`` the
    money of all days (NaN without prices), ``age_days`` the retailer's business days since it began.
    """
    return _inbox(db, limit=limit, offset=offset, snoozed=snoozed, **wanted).drop(columns="total")


def inbox_page(db: Database, *, limit: int, offset: int, snoozed: bool | None = None, **wanted: Unpack[Wanted]) -> Page:
    """The rows of ``inbox`` and how many there are without ``limit`` and ``offset``."""

    def read(start: int, count: int) -> list[dict[str, Any]]:
        frame = _inbox(db, limit=count, offset=start, snoozed=snoozed, **wanted)
        return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]

    return counted(read, offset, limit)


def total(db: Database, *, snoozed: bool | None = None, **wanted: Unpack[Wanted]) -> int:
    """How many incidents ``inbox`` has."""
    return inbox_page(db, limit=1, offset=0, snoozed=snoozed, **wanted).total


def _inbox(
    db: Database,
    *,
    incident_id: int | None = None,
    limit: int = 1,
    offset: int = 0,
    snoozed: bool | None = None,
    **wanted: Unpack[Wanted],
) -> pd.DataFrame:
    frame = db.frame(
        "incident_inbox",
        id=incident_id,
        **_filters({"statuses": OPEN, **wanted}),
        limit=limit,
        offset=offset,
        snoozed=snoozed,
        today=today(),
    )
    frame = frame.astype(dict.fromkeys(_NUMBERS, "float64"))
    frame["age_days"] = _ages(db, frame["first_day"])
    frame["next_step"] = [_next_step(row) for row in frame.to_dict("records")]
    return frame.drop(columns="stock_back")


def today(now: datetime | None = None) -> date:
    """The date in the retailer's time zone: what a snooze is compared with."""
    return (now or datetime.now(wording.zone())).astimezone(wording.zone()).date()


def _next_step(row: Mapping[str, Any]) -> str:
    """What to do now: of stock that is back, no longer what was to be done when it had run out."""
    back = row["stock_back"]
    if pd.isna(back):
        return row["next_step"] or ""
    key = (row["level"], row["product_category"], row["region"], row["store"])
    return explain.next_step(row["class"], row["kind"], row["cause"], row["direction"], key, pd.Timestamp(back).date())


def _ages(db: Database, first_days: pd.Series) -> list[int]:
    """Business days from each day to the day after the last one checked."""
    last = last_detection(db)
    days = np.array((last["summary"].get("business_days") if last else None) or [], "datetime64[D]")
    return [int((days > day.to_datetime64().astype("datetime64[D]")).sum()) + 1 for day in first_days]


def incident(db: Database, incident_id: int) -> dict[str, Any]:
    """The inbox's fields of one incident and what is behind it: ``anomalies`` (members), ``events``, ``similar``,
    ``mails`` (rendered, with what became of each), ``calendar`` (events that follow from its verdict), ``rule``
    (sentences with the numbers filled in), ``next_step``, ``held`` (days for which a change that is open has held, at
    least; 0: it is no new level). Raises NotFound."""
    frame = _inbox(db, incident_id=incident_id, statuses=()).drop(columns="total")
    if frame.empty:
        raise NotFound(f"There is no incident {incident_id}.")
    row = {str(name): _value(value, str(name) in _NUMBERS) for name, value in frame.iloc[0].items()}
    members = db.frame("incident_members", id=incident_id)
    lead = members[members["lead"].astype(bool)].iloc[0]
    told = lead["explanation"]
    worst = _worst(told["days"], lead["day"])
    closed = row["status"] == "RESOLVED"
    members["share"] = [_share(one["explanation"].get("facts", {}), one["lead"]) for _, one in members.iterrows()]
    members = members.astype(dict.fromkeys(_NUMBERS, "float64"))
    events = db.frame("incident_events", id=incident_id)
    return {
        **row,
        "days": [dict(day) for day in told["days"]],
        "anomalies": members.drop(columns="explanation"),
        "events": events[["at", "who", "action", "from_status", "to_status", "note"]],
        "similar": db.frame("incident_similar", id=incident_id),
        "mails": db.frame("outbox_list", incident_id=incident_id, limit=200),
        "calendar": db.frame("learnt_event_list", incident_id=incident_id),
        "rule": explain.rule(
            worst,
            row["class"],
            row["kind"],
            row["impact"],
            told.get("facts", {}),
            not np.isnan(row["loss"]),
            date.fromisoformat(told["days"][0]["day"]),
        ),
        "explained": told.get("facts", {}).get("explained") or [],
        "held": 0 if closed else explain.held(row["class"], row["kind"], row["cause"] or "", told.get("facts", {})),
    }


def _value(value: Any, number: bool) -> Any:
    """A cell as Python's: days as dates, what is missing as None, a missing number as NaN."""
    if not number and pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp) and value.tzinfo is None:
        return value.date()
    return value.item() if isinstance(value, np.generic) else value


def _worst(days: list[Mapping[str, Any]], day: pd.Timestamp) -> Mapping[str, Any]:
    return next((one for one in days if one["day"] == day.date().isoformat()), days[-1])


def _share(facts: Mapping[str, Any], lead: bool) -> float:
    return 1.0 if lead else float(facts.get("share") or 0.0)


def marks(db: Database, run: RunInfo, series_ids: Sequence[int]) -> pd.DataFrame:
    """The anomalies of exactly these series, under whatever name, one row per notable day: date_id, actual, expected,
    impact, direction, class, kind, headline, incident_id, status. What the data no longer show is left out."""
    rows = []
    for entry in db.rows("anomaly_marks", run=run.id, series_ids=list(series_ids)):
        if entry["note"] in CORRECTIONS:
            continue
        rows += [
            {
                "date_id": pd.Timestamp(day["day"]),
                "actual": day["actual"],
                "expected": day["expected"],
                "impact": day["impact"],
                "direction": entry["direction"],
                "class": entry["class"],
                "kind": entry["kind"],
                "headline": entry["headline"],
                "incident_id": entry["incident_id"],
                "status": entry["status"],
            }
            for day in entry["explanation"]["days"]
            if pd.Timestamp(day["day"]).date() <= run.last_day
        ]
    names = [
        "date_id",
        "actual",
        "expected",
        "impact",
        "direction",
        "class",
        "kind",
        "headline",
        "incident_id",
        "status",
    ]
    frame = pd.DataFrame(rows, columns=names)
    frame["date_id"] = pd.to_datetime(frame["date_id"]).astype("datetime64[us]")
    frame = frame.astype({"actual": "float64", "expected": "float64"})
    return frame.sort_values("date_id", kind="stable").reset_index(drop=True)


def listed(db: Database, *, offset: int = 0, limit: int = 500, **wanted: Unpack[Wanted]) -> Page:
    """Logged anomalies, the newest day first, each with its incident."""

    def read(start: int, count: int) -> list[dict[str, Any]]:
        return [dict(row) for row in db.rows("anomaly_list", **_filters(wanted), limit=count, offset=start)]

    found = counted(read, offset, limit)
    for row in found.rows:
        row["next_step"] = _next_step(row)
        del row["stock_back"]
    return found


def counts(db: Database) -> dict[str, Any]:
    """open, high, medium, low, new, data_quality (what is snoozed is none of these), snoozed, resolved_7d; last_checked
    (None: never), series_checked, days_checked, as_of; of the last day that was checked how many series were judged,
    learning, held, missing and closed (services.detect_judged; not there of detections before these were counted)."""
    last = last_detection(db)
    checked = last["finished"] if last else None
    since = (checked or datetime(1970, 1, 1).astimezone()) - timedelta(days=7)
    found = dict(db.rows("incident_counts", since=since, first_read=FIRST_READ, today=today())[0])
    return {
        **{name: int(value) for name, value in found.items()},
        "last_checked": checked,
        "series_checked": int(last["n_series"]) if last else 0,
        "days_checked": int(last["summary"]["result"]["days"]) if last else 0,
        "as_of": last["as_of"] if last else None,
        **(last["summary"].get("judged", {}) if last else {}),
    }


def unjudged(now: Mapping[str, Any]) -> str:
    """What of the last day that was checked could not be judged, and why, in a sentence; '' when all was. ``now``: of
    ``counts``."""
    whys = {
        "learning": ("has too little history", "have too little history"),
        "held": ("is held back until its data are right", "are held back until their data are right"),
        "missing": ("sent nothing", "sent nothing"),
    }
    parts = [
        f"{wording.count(now[name], 'series', 'series')} {one if now[name] == 1 else many}"
        for name, (one, many) in whys.items()
        if now.get(name)
    ]
    return f"Not judged on {wording.day(now['as_of'])}: {', '.join(parts)}." if parts else ""


def version(db: Database) -> tuple[object, ...]:
    """What changes whenever the inbox may say something else: to remember an answer by, for a few seconds."""
    return (*db.rows("inbox_version")[0].values(), today())


def finding(db: Database) -> str:
    """The sentence above the inbox: what happened and what to do, also when all is calm."""
    now = counts(db)
    if now["last_checked"] is None:
        return "Nothing has been checked yet: anomalies are looked for as soon as data arrive."
    listed = inbox(db, limit=FIRST_OF, snoozed=False) if now["open"] else None
    if listed is None or listed.empty:  # the last one may have been settled since it was counted
        return " ".join(part for part in (_calm(now), unjudged(now), _snoozed(now)) if part)
    top = _first(listed, now["as_of"])
    first = _lead(listed, top, now["as_of"])
    parts = []
    if now["high"]:
        parts.append(f"{now['high']} of HIGH impact")
    if now["data_quality"]:
        parts.append(f"{now['data_quality']} in the data themselves")
    if now["snoozed"]:
        parts.append(f"{now['snoozed']} more snoozed")
    named = f" ({', '.join(parts)})" if parts else ""
    word = "incident" if now["open"] == 1 else "incidents"
    said = str(top["headline"]).rstrip(".")
    return f"{now['open']} open {word}{named}. {first}: {said}. {top['next_step']}"


def _calm(now: Mapping[str, Any]) -> str:
    """Nothing is open: whether that says that nothing happened."""
    day, judged = wording.day(now["as_of"]), now.get("judged")
    if judged == 0 and now["closed"] and not unjudged(now):
        return f"Nothing is open: everything was closed on {day}."
    if judged == 0:
        return f"Nothing is open, but nothing could be judged on {day} either."
    series = now["series_checked"] if judged is None else judged
    return f"Nothing unusual: {wording.fixed(series)} series checked up to {day}."


def _snoozed(now: Mapping[str, Any]) -> str:
    if not now["snoozed"]:
        return ""
    return f"{wording.count(now['snoozed'], 'incident')} {'is' if now['snoozed'] == 1 else 'are'} snoozed."


def over(day: Any, last_day: date) -> bool:
    """Whether an incident whose newest notable day is ``day`` is over: its money is gone, whoever looks into it."""
    return bool((pd.Timestamp(last_day) - pd.Timestamp(day)).days > OVER_DAYS)


def _first(frame: pd.DataFrame, last_day: date) -> pd.Series:
    """Of the open ones, by money, the first that still runs and matters; else one that runs; else the first."""
    runs = ~frame["day"].map(lambda day: over(day, last_day)).astype(bool)
    matters = runs & (frame["impact"] != "LOW")
    return frame[matters if matters.any() else runs if runs.any() else runs | True].iloc[0]


def _lead(frame: pd.DataFrame, top: pd.Series, last_day: date) -> str:
    """How the first to look at is introduced: the list is by money, so where it begins with one that is over, why this
    one is another."""
    waits = over(frame["day"].iloc[0], last_day) and not over(top["day"], last_day)
    return "First, as it still runs" if waits else "First"


def move(
    db: Database,
    clock: Clock,
    incident_id: int,
    action: str,
    *,
    who: str,
    version: int | None = None,
    note: str = "",
    until: date | None = None,
    owner: str | None = None,
    event: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Move an incident and its members; returns the incident's status, version, disposition, snoozed_until, owner.

    ``version``: the one the person has seen; Conflict when it is no longer the newest. A verdict also changes what the
    detector learns from. ``event`` of the verdict expected makes it an event of the calendar: name, first_day and
    last_day (dates), region ('' or none: everywhere), and again, the first day on which it comes again (or none). What
    it did is then learnt, and expected whenever an event of that name comes. ``undo`` takes the last move back, with
    its event. Raises NotFound, and InvalidInput for an unknown action, a missing note or date.
    """
    if action not in ACTIONS:
        raise InvalidInput(f"'{action[:50]}' is no action: it is one of {', '.join(ACTIONS)}.")
    note = note.strip()
    if action in NEEDS_NOTE and not note:
        raise InvalidInput(f"Say in a note {NEEDS_NOTE[action]}: others will read it when it happens again.")
    if event is not None and action != "expected":
        raise InvalidInput("Only what was expected becomes an event of the calendar.")
    spans = None if event is None else _spans(event)
    now = clock()
    if action == "snooze" and (until is None or until <= today(now)):
        raise InvalidInput("A snooze needs a date after today.")

    def change(connection: Any) -> dict[str, Any]:
        rows = db.rows("incident_take", connection=connection, id=incident_id)
        if not rows:
            raise NotFound(f"There is no incident {incident_id}.")
        was = dict(rows[0])
        if version is not None and version != was["version"]:
            raise Stale("Someone else moved this incident meanwhile: look at it again.")
        state = {name: was[name] for name in _STATE}
        standing = [row["id"] for row in db.rows("learnt_event_list", connection=connection, incident_id=incident_id)]
        if action == "undo":
            after, events = _undone(db, connection, incident_id)
        else:
            after = {**state, **_moved(state, action, who, now, note, until, owner)}
            events = standing if after["disposition"] == "expected" else []
            if spans is not None:
                made = db.rows(
                    "learnt_event_add", connection=connection, incident_id=incident_id, who=who, at=now, **spans
                )
                events = [row["id"] for row in made]
        if after == state and set(events) == set(standing):
            return {**_answer(was["version"], state), "incident_id": incident_id, "changed": False}
        if set(events) != set(standing):
            db.execute("learnt_event_set", connection=connection, incident_id=incident_id, ids=events, who=who, at=now)
        ended = was["status"] == "RESOLVED" and was["note"] in CORRECTIONS  # all of it, which then moves together
        new = db.rows(
            "incident_move",
            connection=connection,
            id=incident_id,
            action=action,
            from_status=was["status"],
            details=json.dumps({"before": state, "events": standing}, default=_text),
            who=who,
            at=now,
            event_note=note or None,
            corrected=[] if ended else list(CORRECTIONS),
            **after,
        )
        return {**_answer(new[0]["version"], after), "incident_id": incident_id, "changed": True}

    return db.run_tx(change)


def _answer(version: int, state: Mapping[str, Any]) -> dict[str, Any]:
    names = ("status", "disposition", "snoozed_until", "owner", "note")
    return {"version": int(version), **{name: state[name] for name in names}}


def _moved(
    state: Mapping[str, Any], action: str, who: str, now: datetime, note: str, until: date | None, owner: str | None
) -> dict[str, Any]:
    acked = {"acked_by": state["acked_by"] or who, "acked_at": state["acked_at"] or now}
    said = {"note": note} if note else {}
    if action == "acknowledge":
        again = {"resolved_by": None, "resolved_at": None}
        return {"status": "ACKNOWLEDGED", "owner": owner or state["owner"] or who, **acked, **again, **said}
    if action == "snooze":
        return {"snoozed_until": until, "owner": owner or state["owner"] or who, **said}
    if action == "reopen":
        return {
            "status": "NEW", "disposition": None, "snoozed_until": None, "resolved_by": None, "resolved_at": None,
            "acked_by": None, "acked_at": None, **said,
        }  # fmt: skip
    # What is over stays over, whatever it is found to have been.
    status = "RESOLVED" if state["status"] == "RESOLVED" else VERDICTS.get(action, "RESOLVED")
    settled = {"resolved_by": who, "resolved_at": now} if status == "RESOLVED" else {}
    verdict = {"disposition": action} if action in VERDICTS else {}
    return {
        "status": status, "owner": owner or state["owner"] or who, "snoozed_until": None,
        **acked, **settled, **verdict, **said,
    }  # fmt: skip


def _spans(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event of the calendar as its rows are written: its days, and those on which it comes again."""
    name, region = str(event.get("name") or "").strip(), str(event.get("region") or "").strip()
    first, last, again = (event.get(one) for one in ("first_day", "last_day", "again"))
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise InvalidInput("An event needs a name of 1 to 100 characters: it is known again by it.")
    if len(region) > 100:
        raise InvalidInput("The name of a region has at most 100 characters.")
    if not isinstance(first, date) or not isinstance(last, date) or not timedelta() <= last - first < LONGEST_EVENT:
        raise InvalidInput(f"An event needs a first and a last day, at most {LONGEST_EVENT.days} days.")
    if again is not None and (not isinstance(again, date) or again <= last):
        raise InvalidInput("An event comes again after its last day.")
    firsts = [first] if again is None else [first, again]
    return {
        "event": name,
        "region": region,
        "first_days": firsts,
        "last_days": [one + (last - first) for one in firsts],
    }


def _undone(db: Database, connection: Any, incident_id: int) -> tuple[dict[str, Any], list[int]]:
    """The state before the last move that is not taken back yet, and the events of the calendar that stood then."""
    back = 0
    for event in reversed(db.rows("incident_events", connection=connection, id=incident_id)):
        if event["action"] == "undo":
            back += 1
        elif "before" in (event["details"] or {}):
            if back == 0:
                before = event["details"]["before"]
                return {name: _when(name, before[name]) for name in _STATE}, event["details"].get("events", [])
            back -= 1
    raise Conflict("There is nothing to undo.")


def _when(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name.endswith("_at"):
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if name == "snoozed_until" else value


def _text(value: object) -> object:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
