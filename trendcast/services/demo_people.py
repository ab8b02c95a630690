"""The demo retailer's people: what they made of incidents and of advice on each Monday of its past.

They use the services that the pages use, and only say what such people would know: who looks into an incident finds
out what it was, so their verdicts follow the labels of the demo.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from trendcast.store.engine import Database

Clock = Callable[[], datetime]

PLANNERS = ("Maria Keller", "Jonas Weber", "Aisha Rahman")
QUIET_DAYS = 7  # an incident without news for so long is settled
DECIDED = 4  # pieces of advice a Monday's meeting gets to

# Kind of label -> what people conclude, and what they write.
_FOUND = {
    "spike": ("confirmed", "A local event and a newspaper's test brought customers; asked the suppliers for more."),
    "drop": ("confirmed", "A delivery came to the shelf late; the shops have been told."),
    "outage": ("confirmed", "A power cut: the region's shops were closed most of the day."),
    "level_shift": ("new_normal", "A competitor changed its range; this is the level we plan with from now on."),
    "missing_feed": ("data_issue", "The feed of this region did not arrive."),
    "doubled_feed": ("data_issue", "The day was sent twice; the shops' systems are corrected."),
}
_UNFOUND = (
    ("expected", "Within what the promotion and the weather do; nothing to act on."),
    ("false_alarm", "Looked at shop by shop: nothing unusual."),
)
# By what an order was changed, and why.
_CHANGED = (
    (1.25, "A school holiday is near: a quarter more."),
    (0.8, "The back room is full: a fifth less, and again next week."),
    (1.1, "Rounded up to a full truck."),
)
_DEALT_WITH = "Dealt with: the suppliers and the shops are informed, sales are back."
_EMPTY_SHELF = ("confirmed", "The shelf was empty: the order had come late.")


def answer(db: Database, clock: Clock, labels: pd.DataFrame, monday: date, *, busy: bool = False) -> int:
    """People go through the inbox: what is new is taken on (one in six waits), what has been quiet is settled with a
    verdict. On a ``busy`` Monday they get to what matters most and no further. Returns the number of moves."""
    from trendcast.services import incidents

    moves = 0
    for row in incidents.inbox(db, limit=1000).itertuples(index=False):
        number = int(row.incident_id)
        who = PLANNERS[number % len(PLANNERS)]
        quiet = (monday - pd.Timestamp(row.day).date()).days
        if row.status == "NEW":
            if (number % 6 == 5 and quiet < 5 * QUIET_DAYS) or (busy and row.impact != "HIGH"):
                continue
            incidents.move(db, clock, number, "acknowledge", who=who, note="")
            moves += 1
        elif quiet > QUIET_DAYS and number % 9 != 4:
            # What is real stays with its owner until it is dealt with.
            dealt_with = row.disposition == "confirmed"
            verdict, note = ("resolve", _DEALT_WITH) if dealt_with else _verdict(row, labels)
            incidents.move(db, clock, number, verdict, who=who, note=note)
            moves += 1
    return moves


def _verdict(row: Any, labels: pd.DataFrame) -> tuple[str, str]:
    first, last = pd.Timestamp(row.first_day) - timedelta(days=1), pd.Timestamp(row.day) + timedelta(days=1)
    if row.kind == "SUPPLY":
        return _EMPTY_SHELF
    near = labels[(labels["first_day"] <= last) & (labels["last_day"] >= first)]
    for name in ("product_category", "region"):
        mine = getattr(row, name)
        if mine:
            near = near[near[name].isin(["", mine])]
    if len(near):
        return _FOUND[str(near.iloc[-1]["kind"])]
    return _UNFOUND[int(row.incident_id) % len(_UNFOUND)]


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
