"""The demo retailer's people: what they made of incidents and of advice on each Monday of its past.

They use the services that the pages use and know what the pages show: their verdicts follow from what an incident tells
of itself, so they are sometimes wrong, and the detector that learns from them is judged fairly.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database


PLANNERS = ("Maria Keller", "Jonas Weber", "Aisha Rahman")
QUIET_DAYS = 7  # an incident without news for so long is settled
SETTLED_DAYS = 21  # a level that has lasted so long is the new one
SNOOZED_DAYS = 14
DECIDED = 4  # pieces of advice a Monday's meeting gets to

# Class of a quality incident -> what people write; of the others the last one.
_FEED = {
    "MISSING_FEED": "The feed did not arrive; it is asked for.",
    "PARTIAL_FEED": "Half of the feed did not arrive; the rest is asked for.",
    "DOUBLED_FEED": "The day was sent twice; the shops' systems are corrected.",
    "": "The feed was wrong; the shops' systems are corrected.",
}
_NEW_LEVEL = ("new_normal", "It has stayed where it is for weeks; this is the level we plan with from now on.")
_AS_PLANNED = ("expected", "What the calendar and the promotions do; nothing to act on.")
_REAL = {
    1: ("confirmed", "The shops confirm it: more customers than usual; asked the suppliers for more."),
    -1: ("confirmed", "The shops confirm it: fewer customers than usual; they have been told."),
}
_SMALL = (
    ("false_alarm", "Looked at shop by shop: nothing unusual."),
    ("expected", "Within what such weeks do; nothing to act on."),
)
# By what an order was changed, and why.
_CHANGED = (
    (1.25, "A school holiday is near: a quarter more."),
    (0.8, "The back room is full: a fifth less, and again next week."),
    (1.1, "Rounded up to a full truck."),
)
_DEALT_WITH = "Dealt with: the suppliers and the shops are informed, sales are back."
_LATER = "Looked at again in two weeks, when there is more to see."
_EMPTY_SHELF = ("confirmed", "The shelf was empty: the order had come late.")


def answer(db: Database, clock: Clock, monday: date, *, busy: bool = False) -> int:
    """People go through the inbox: what is new is taken on (one in six waits), what has been quiet is settled with a
    verdict. On a ``busy`` Monday they get to what matters most, and snooze the last of the others. Returns the number
    of moves."""
    from trendcast.services import incidents
    from trendcast.services.detect_window import RECOVERED

    moves, waiting = 0, 0
    for row in incidents.inbox(db, limit=1000).to_dict("records"):
        number = int(row["incident_id"])
        who = PLANNERS[number % len(PLANNERS)]
        quiet = (monday - pd.Timestamp(row["day"]).date()).days
        if row["status"] == "NEW":
            if (number % 6 == 5 and quiet < 5 * QUIET_DAYS) or (busy and row["impact"] != "HIGH"):
                waiting = number
                continue
            incidents.move(db, clock, number, "acknowledge", who=who, note="")
            moves += 1
        elif quiet > QUIET_DAYS and number % 9 != 4:
            # What is real stays with its owner until it is dealt with.
            dealt_with = row["disposition"] == "confirmed"
            verdict, note = ("resolve", _DEALT_WITH) if dealt_with else _verdict(row, monday)
            incidents.move(db, clock, number, verdict, who=who, note=note)
            moves += 1
    for row in incidents.inbox(
        db, statuses=("RESOLVED",), since=monday - timedelta(days=2 * QUIET_DAYS), limit=1000
    ).to_dict("records"):
        # What ended by itself is judged all the same, by who has time for it.
        number = int(row["incident_id"])
        if row["note"] == RECOVERED and not _said(row["disposition"]) and number % 3:
            verdict, note = _verdict(row, monday)
            incidents.move(db, clock, number, verdict, who=PLANNERS[number % len(PLANNERS)], note=note)
            moves += 1
    if busy and waiting:
        again = monday + timedelta(days=SNOOZED_DAYS)
        incidents.move(db, clock, waiting, "snooze", who=PLANNERS[0], note=_LATER, until=again)
        moves += 1
    return moves


def _said(verdict: object) -> bool:
    """Whether there is a verdict."""
    return isinstance(verdict, str) and bool(verdict)


def _verdict(row: dict[str, Any], monday: date) -> tuple[str, str]:
    """What people conclude from what the incident shows: its kind, class, cause, age, direction and impact; of small
    ones its number tells who looked at it."""
    kind, cls, cause = str(row["kind"]), str(row["class"]), str(row["cause"])
    if kind == "SUPPLY":
        return _EMPTY_SHELF
    if kind == "DATA_QUALITY":
        return "data_issue", _FEED.get(cls, _FEED[""])
    if cls == "LEVEL_SHIFT" and (monday - pd.Timestamp(row["first_day"]).date()).days >= SETTLED_DAYS:
        return _NEW_LEVEL
    if cause.startswith(("calendar", "promotion")):
        return _AS_PLANNED
    number = int(row["incident_id"])
    if row["impact"] != "LOW" or number % 3 == 0:
        return _REAL[1 if row["direction"] > 0 else -1]
    return _SMALL[number % len(_SMALL)]


def decide(db: Database, clock: Clock, run_id: int, number: int) -> int:
    """The Monday's meeting on its first pieces of advice: most are taken, some changed, deferred or turned down.
    Returns the number of decisions."""
    from trendcast.services import decisions, recommend

    advice = recommend.advice(db, run_id)
    urgent = advice[advice["status"].isin(["order_now", "order_soon"])].head(DECIDED)
    for place, row in enumerate(urgent.to_dict("records")):
        said, changed, code, reason = _choice(number * DECIDED + place, row)
        due = row["order_by"]
        decisions.decide(
            db,
            clock,
            run_id=run_id,
            product_category=row["product_category"],
            decision=said,
            recommendation=row,
            value=changed,
            reason_code=code,
            reason=reason,
            owner=PLANNERS[place % len(PLANNERS)],
            due_on=None if pd.isna(due) else pd.Timestamp(due).date(),
            who=PLANNERS[number % len(PLANNERS)],
        )
    return len(urgent)


def _choice(turn: int, row: dict[str, Any]) -> tuple[str, float | None, str | None, str]:
    """(decision, changed quantity, code of the reason, reason)."""
    quantity = float(row["order_quantity"])
    if turn % 7 == 3:
        factor, why = _CHANGED[turn // 7 % len(_CHANGED)]
        return "modify", float(round(factor * quantity)), "local_knowledge", why
    if turn % 11 == 5:
        return "reject", None, "supplier", "The supplier delivers more on its own account this week."
    if turn % 13 == 6:
        return "defer", None, "waiting", "Looked at again when the promotion's first days are in."
    return "accept", None, None, ""
