"""What people decided on a run's advice, and what came of it: a log that is only ever added to.

A changed mind is a new decision in place of the old one, which stays in the table. What happened is told from facts:
stock-out days, units lost, what was ordered and sold; no forecast is asked whether it was right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast import wording
from trendcast.errors import Conflict, InvalidInput, NotFound
from trendcast.store import locks

if TYPE_CHECKING:
    from trendcast.services.forecast import RunInfo
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database

DECISIONS = ("accept", "modify", "reject", "defer")
SETTLES = ("accept", "modify")  # the order is placed; what is rejected or put off is still a risk
ORDERED_WITHIN = 7  # days after the advice (or its order-by date) in which its order is placed
AFTER_ARRIVAL = 7  # days after the order could have arrived that count
DEFAULT_LEAD_DAYS = 14


def decide(
    db: Database,
    clock: Clock,
    *,
    run_id: int,
    product_category: str,
    decision: str,
    recommendation: Mapping[str, Any],
    who: str,
    region: str = "",
    value: float | None = None,
    reason_code: str | None = None,
    reason: str = "",
    owner: str | None = None,
    due_on: date | None = None,
    replaces: int | None = None,
) -> int:
    """Note a decision and return its number. ``recommendation``: the advice as it was shown. A decision that stands for
    the same advice is replaced; ``replaces`` names the one the person saw.

    Raises InvalidInput for an unknown decision, a modification without a quantity, a change or rejection without a
    reason; NotFound and Conflict when the decision to replace is not there or was replaced meanwhile.
    """
    if decision not in DECISIONS:
        raise InvalidInput(f"'{decision[:50]}' is not a decision: it is one of {', '.join(DECISIONS)}.")
    if decision == "modify" and (value is None or not np.isfinite(value) or value < 0):
        raise InvalidInput("To change an order, say the quantity: a number of at least zero.")
    if decision in ("modify", "reject") and not (reason_code or reason.strip()):
        raise InvalidInput("Say why the advice is changed or rejected: the reason is what can be learnt from.")
    kept = plain(recommendation)
    for row in db.rows("stock_advice", run_id=run_id, categories=[product_category]):
        kept = {**row["figures"], **kept}  # what the outcome is told from, also when the run is no longer kept
    about = {"run_id": run_id, "product_category": product_category, "region": region}
    with db.transaction() as connection:
        # A second click waits for the first one, and then sees it.
        db.rows("decision_lock", connection=connection, number=locks.DECIDE, **about)
        if replaces is None:
            standing = db.rows("decision_standing", connection=connection, **about)
            replaces = int(standing[0]["id"]) if standing else None
        else:
            seen = db.rows("decision_read", connection=connection, id=replaces)
            if not seen:
                raise NotFound(f"There is no decision with the number {replaces}.")
            if (seen[0]["product_category"], seen[0]["region"]) != (product_category, region):
                raise InvalidInput(f"Decision {replaces} is about another category.")
        added = db.rows(
            "decision_add",
            connection=connection,
            **about,
            recommendation=kept,
            decision=decision,
            value=None if value is None else float(value),
            reason_code=reason_code,
            reason=reason.strip() or None,
            owner=owner,
            due_on=due_on,
            replaces=replaces,
            who=who,
            at=clock(),
        )
    if not added:
        raise Conflict("Somebody else decided on this meanwhile: look at it again.")
    return int(added[0]["id"])


def plain(recommendation: Mapping[str, Any]) -> dict[str, Any]:
    """Advice as it can be kept in JSON: NaN and missing days are null, days are text."""
    return {str(name): _plain(value) for name, value in recommendation.items() if name != "projection"}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | np.ndarray):
        return [_plain(one) for one in value]
    if value is None or value is pd.NaT or isinstance(value, str | bool):
        return None if value is pd.NaT else value
    if isinstance(value, np.datetime64 | datetime | date):
        return None if pd.isna(value) else pd.Timestamp(value).date().isoformat()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if isinstance(value, int) else str(value)


def log(db: Database, *, categories: Sequence[str] = (), limit: int = 200) -> pd.DataFrame:
    """The decisions that stand, newest first: id, decided_at, run_id, product_category, region, sentence, decision,
    value, reason_code, reason, owner, due_on, status, outcome (a sentence, '' while not known), outcome_money (margin
    that the decision earned, negative: lost), decided_by."""
    frame = db.frame("decision_log", categories=list(categories), limit=limit)
    return frame.astype({"value": "float64", "outcome_money": "float64"})


def of_run(db: Database, run_id: int) -> dict[str, str]:
    """The decision that stands on the advice of a run, by category; a category nobody decided on is not there."""
    return {str(row["product_category"]): str(row["decision"]) for row in db.rows("decision_of_run", run_id=run_id)}


def settled(db: Database, run_id: int) -> frozenset[str]:
    """Categories whose advice of this run somebody has accepted or changed: nothing is left to decide there."""
    return frozenset(name for name, decision in of_run(db, run_id).items() if decision in SETTLES)


def score_outcomes(db: Database, clock: Clock, run: RunInfo) -> int:
    """Tell what came of each decision whose order could have arrived a week before the run's last day; returns how
    many were told. Counted are the days from the business date of the advice on; units lost are those the run found."""
    told = 0
    for row in db.rows("decision_open"):
        advice = row["recommendation"]
        # The retailer's day, not the clock's: data that ended years ago are judged like any other.
        first = _day(advice.get("business_date")) or row["decided_at"].date()
        lead = advice.get("lead_time_days") or DEFAULT_LEAD_DAYS
        order_by = _day(advice.get("order_by")) or first
        last = max(order_by, first) + timedelta(days=round(float(lead)) + AFTER_ARRIVAL)
        if last > run.last_day:
            continue
        until = max(order_by, first) + timedelta(days=ORDERED_WITHIN)
        if row["next_on"] is not None:  # an order is the doing of the last decision before it
            until = min(until, row["next_on"] - timedelta(days=1))
        facts = db.rows(
            "decision_after",
            product_category=row["product_category"],
            first=first,
            last=last,
            ordered_until=min(until, last),
        )[0]
        lost, money = _lost(db, run, row["product_category"], first, last)
        outcome = _outcome(row, dict(facts), lost, money, (last - first).days + 1)
        told += db.execute("decision_score", id=row["id"], outcome=outcome, status="done")
    return told


def _outcome(row: Mapping[str, Any], facts: dict[str, Any], lost: float, revenue: float, days: int) -> dict[str, Any]:
    """The facts after a decision and the sentence they make. ``lost`` units and their ``revenue``."""
    advice = row["recommendation"]
    earns = advice.get("margin")
    lost_money = lost * earns if earns is not None else None
    ordered, arrived = facts["ordered"], facts["arrived"]
    wanted = row["value"] if row["decision"] == "modify" else advice.get("order_quantity")
    # Units sold beyond what was there and under way: the order that was decided on has served them.
    there = (advice.get("on_hand") or 0.0) + (advice.get("on_order") or 0.0)
    beyond = max(0.0, (facts["sold"] or 0.0) - there)
    served = min(beyond, arrived if arrived is not None else (wanted or 0.0))
    followed = row["decision"] in ("accept", "modify") and (ordered is None or ordered > 0)
    said = []
    if ordered is not None:
        if ordered > 0:
            said.append(f"{wording.units(ordered)} were ordered, {wording.units(arrived)} came in time")
        elif row["decision"] in ("accept", "modify"):
            said.append("No order followed" + (" before the next decision" if row["next_on"] is not None else ""))
    out = int(facts["stockout_days"] or 0)
    if not facts["days"]:
        said.append("no stock was recorded since")
    elif out or lost > 0:
        loss = f", {wording.units(lost)} lost" if lost > 0 else ""
        worth = f" ({wording.money(lost_money)} margin)" if lost > 0 and lost_money is not None else ""
        said.append(f"{out} stock-out {'day' if out == 1 else 'days'} in {days} days{loss}{worth}")
    else:
        said.append(f"no stock-out in {days} days")
    gained = served * earns if followed and earns is not None else None
    if followed and served > 0:
        worth = f" ({wording.money(gained)} margin)" if gained is not None else ""
        said.append(f"{wording.units(served)}{worth} were sold that would not have been there without it")
    sentence = "; ".join(said) + "."
    money = None if earns is None else (gained or 0.0) - (lost_money or 0.0)
    return {
        "sentence": sentence[0].upper() + sentence[1:],
        "money": money,
        "stockout_days": out,
        "lost_units": lost,
        "lost_money": lost_money,
        "lost_revenue": revenue if np.isfinite(revenue) else None,
        "ordered": ordered,
        "arrived": arrived,
        "sold": facts["sold"],
        "served": served,
        "days": days,
    }


def _lost(db: Database, run: RunInfo, category: str, first: date, last: date) -> tuple[float, float]:
    """Units and money of the category that stock-outs turned away between two days, as the run found."""
    from trendcast.services import forecast

    index = forecast.series_index(db, run.id)
    rows = index[(index["level"] == "category") & (index["product_category"] == category)]
    if rows.empty:
        return 0.0, 0.0
    try:
        days = forecast.history_daily(db, run, rows["series_id"].tolist())
    except NotFound:
        return 0.0, 0.0
    inside = days[(days["date_id"] >= pd.Timestamp(first)) & (days["date_id"] <= pd.Timestamp(last))]
    return float(inside["lost"].sum()), float(inside["lost_revenue"].sum(min_count=1))


def _day(value: Any) -> date | None:
    return None if value is None else date.fromisoformat(str(value)[:10])
