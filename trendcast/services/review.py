"""The weekly review: the state of the business, what needs a decision, and in which order.

``figures`` is what a run alone decides and can be kept by its id; ``review`` adds what people change meanwhile:
anomalies, advice and decisions. Page and REST (GET /review) show this one object; ``finding`` is its first sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from trendcast import wording
from trendcast.services import (
    decisions,
    findings,
    forecast,
    incidents,
    recommend,
    review_figures,
    review_rules,
    review_tiles,
)
from trendcast.services.review_figures import Figures, Line, Scope, Volume
from trendcast.services.review_parts import Breach, Decision, Header, Outcomes, Review, Risk, Standing

if TYPE_CHECKING:
    from trendcast.services.forecast import RunInfo
    from trendcast.store.engine import Database

MOST_RISKS, MOST_MOVES = 20, 6
MOST_INCIDENTS = 5000
DECISIONS, NEWEST, SCORED = 200, 4, 5  # read; shown of the newest; shown of those with an outcome


def figures(db: Database, run: RunInfo, scope: Scope | None = None) -> Figures:
    """What the run alone decides; keep it by the run's id and the scope."""
    return review_figures.read(db, run, scope or Scope())


def review(
    db: Database,
    run: RunInfo,
    scope: Scope | None = None,
    *,
    today: date,
    unit: str = "units",
    known: Figures | None = None,
) -> Review:
    """The review of a scope (all there is by default) on a day, its sales in ``unit`` (units or money); ``known``: its
    ``figures``, if they are at hand.

    Raises NotFound when nothing sells under the scope's names.
    """
    found = known or figures(db, run, scope)
    scope = found.scope
    advised = recommend.advice(db, run.id, scope.categories)
    narrowed: dict[str, Any] = {"categories": scope.categories, "regions": scope.regions, "stores": scope.stores}
    open_incidents = incidents.inbox(db, statuses=incidents.OPEN, snoozed=False, limit=MOST_INCIDENTS, **narrowed)
    snoozed = incidents.total(db, statuses=incidents.OPEN, snoozed=True, **narrowed)
    done = decisions.settled(db, run.id)
    past = forecast.current_run(db).id != run.id
    if past:  # nobody knew then what was found later
        open_incidents = open_incidents[pd.to_datetime(open_incidents["first_day"]) <= pd.Timestamp(run.last_day)]
    decided = decisions.log(db, categories=scope.categories, limit=DECISIONS)
    with db.read() as connection:
        batches = db.rows("review_batches", connection=connection)[0]
        stock = db.frame(
            "review_stock",
            connection=connection,
            last_day=run.last_day,
            days=14 * review_tiles.STOCK_WEEKS,
            categories=list(scope.categories),
            named=advised["product_category"].tolist(),
            costs=advised["unit_cost"].astype(float).tolist(),
        )
    return assemble(
        run,
        found,
        advised,
        open_incidents,
        decided,
        stock,
        today=today,
        unit=unit,
        quarantined=int(batches["quarantined"]),
        held=int(batches["held"]),
        snoozed=snoozed,
        done=done,
        past=past,
    )


def assemble(
    run: RunInfo,
    found: Figures,
    advised: pd.DataFrame,
    open_incidents: pd.DataFrame,
    decided: pd.DataFrame,
    stock: pd.DataFrame,
    *,
    today: date,
    unit: str = "units",
    quarantined: int = 0,
    held: int = 0,
    snoozed: int = 0,
    done: frozenset[str] = frozenset(),
    past: bool = False,
) -> Review:
    """The review of what was read: ``advised`` as services.recommend.advice, ``open_incidents`` as
    services.incidents.inbox without those ``snoozed``, of which only the number is told, ``decided`` as
    services.decisions.log, ``done`` as its settled, ``stock`` as sql/review_stock.sql; ``past``: not the run of now,
    so its data cannot be late.
    """
    late = 0 if run.historical or past else max(0, (today - run.last_day).days - 1)
    header = Header(
        run.id, run.kind, run.last_day, run.published_at, run.n_series, found.level, found.dimension, len(found.lines),
        late, found.covered, found.covered_weeks, quarantined, held,
    )  # fmt: skip
    unit = unit if found.money.ahead is not None else "units"
    risks = review_rules.risks_of(advised[~advised["product_category"].isin(done)], open_incidents, run.last_day)
    risers, fallers = _moves(found, unit)
    breaches = review_rules.exceptions(found, header, advised, open_incidents, done)
    every = _decisions(decided)
    stock_kpis = review_tiles.of_stock(stock, advised, found.scope)
    return Review(
        figures=found,
        header=header,
        finding=_finding(found, header, unit, risks, breaches),
        unit=unit,
        kpis=(
            *review_tiles.of_forecasts(found, unit),
            *stock_kpis,
            review_tiles.of_alerts(open_incidents, run.last_day, snoozed),
        ),
        risers=risers,
        fallers=fallers,
        exceptions=breaches,
        risks=tuple(risks[:MOST_RISKS]),
        more_risks=max(0, len(risks) - MOST_RISKS),
        standing=_standing(found, advised, open_incidents, done),
        decisions=_shown(every),
        outcomes=_outcomes(every),
        change=_change(found),
        movement=_movement(found, risers, fallers, unit) + _without_ended(found, unit),
    )


def finding(db: Database, run: RunInfo, scope: Scope | None = None, *, today: date, unit: str = "units") -> str:
    """The state of the business and what to do first, in a few sentences: what stands on top of the review."""
    return review(db, run, scope, today=today, unit=unit).finding


# --- risers, fallers, lines ------------------------------------------------------------------------------------------


def volume(line: Line, unit: str) -> Volume:
    """A line's sums in money where it has them, else in units."""
    return line.money if unit == "money" else line.units


def _moves(found: Figures, unit: str) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """Lines whose next 12 weeks differ most from last year's, by amount: risers and fallers."""
    moved = [
        (volume(line, unit).difference, line)
        for line in found.lines
        if not line.ended
        and volume(line, unit).difference is not None
        and abs(volume(line, unit).change or 0.0) >= findings.NOTABLE
    ]
    ordered = sorted(moved, key=lambda pair: -pair[0])  # type: ignore[operator]
    risers = tuple(line for difference, line in ordered[:MOST_MOVES] if difference and difference > 0)
    fallers = tuple(line for difference, line in ordered[::-1][:MOST_MOVES] if difference and difference < 0)
    return risers, fallers


def _movement(found: Figures, risers: Sequence[Line], fallers: Sequence[Line], unit: str) -> str:
    if not risers and not fallers:
        return f"No {found.dimension} is expected to sell much more or less than in the weeks it is compared with."
    said = []
    for lines, verb in ((risers, "rises"), (fallers, "falls")):
        if not lines:
            continue
        top = volume(lines[0], unit)
        said.append(
            f"{lines[0].name} {verb} most, by {findings.amount(abs(top.difference or 0.0), unit)} "
            f"({review_tiles.signed(top.change or 0.0)} on {review_tiles.reference_words(top)})"
        )
    todo = [f"supply can follow {risers[0].name}"] if risers else []
    todo += [f"not too much of {fallers[0].name} is on order"] if fallers else []
    return "; ".join(said) + f". Check that {' and that '.join(todo)}."


def _without_ended(found: Figures, unit: str) -> str:
    """What the change is without the lines that are no longer sold, where there are some."""
    gone = [line for line in found.lines if line.ended]
    if not gone:
        return ""
    names = ", ".join(line.name for line in gone[:3]) + (f" and {len(gone) - 3} more" if len(gone) > 3 else "")
    kept = [volume(line, unit) for line in found.lines if not line.ended]
    ahead = [one.ahead for one in kept if one.ahead is not None and one.last_year]
    before = [one.last_year for one in kept if one.ahead is not None and one.last_year]
    said = f" {names} ended and {'is' if len(gone) == 1 else 'are'} left out"
    if not sum(filter(None, before)):
        return said + "."
    change = sum(ahead) / sum(filter(None, before)) - 1
    return f"{said}: without {'it' if len(gone) == 1 else 'them'}, {review_tiles.signed(change)}."


def _standing(
    found: Figures, advised: pd.DataFrame, open_incidents: pd.DataFrame, done: frozenset[str]
) -> tuple[Standing, ...]:
    column = "product_category" if found.dimension == "category" else found.dimension
    counted = open_incidents.groupby(column)["impact"] if len(open_incidents) else None
    total = counted.size() if counted is not None else {}
    high = counted.agg(lambda impacts: int((impacts == "HIGH").sum())) if counted is not None else {}
    stock: dict[str, tuple[str, str]] = {}
    if found.dimension == "category":
        stock = {
            str(name): (str(status), review_rules.told(str(sentence))[0])
            for name, status, sentence in zip(
                advised["product_category"], advised["status"], advised["sentence"], strict=True
            )
        }
    result = []
    for line in found.lines:
        status, recommendation = stock.get(line.name, ("", ""))
        if line.name in done and status in recommend.ORDERS:
            status, recommendation = "decided", ""
        result.append(
            Standing(
                int(total.get(line.name, 0)),
                int(high.get(line.name, 0)),
                status,
                recommendation,
            )
        )
    return tuple(result)


# --- what needs somebody ---------------------------------------------------------------------------------------------


def _finding(found: Figures, header: Header, unit: str, risks: Sequence[Risk], breaches: Sequence[Breach]) -> str:
    total = found.money if unit == "money" else found.units
    said = []
    if total.ahead is not None:
        amount = findings.amount(total.ahead, unit)
        compared = (
            ", " + findings.compared(total.change, f"than {review_tiles.reference_words(total)}")
            if total.change is not None
            else ""
        )
        said.append(f"The next {review_figures.AHEAD_WEEKS} weeks should bring sales of {amount}{compared}.")
    late = next((breach for breach in breaches if breach.name == "late" and breach.high), None)
    first = _first(risks)
    if late:
        said.append(f"First load the missing sales: they are {late.count} days late.")
    elif first:
        said.append("First: " + _do(first) + ".")
    left = sum(1 for breach in breaches if breach.count and breach.name not in ("stockout", "anomalies"))
    urgent = sum(1 for risk in risks if risk.urgent and risk is not first)
    rest = []
    if urgent:
        rest.append(f"{urgent} more urgent {'risk' if urgent == 1 else 'risks'}")
    if left:
        rest.append(f"{left} {'exception' if left == 1 else 'exceptions'}")
    if rest:
        said.append(f"Then {' and '.join(rest)} below.")
    elif first is None and not late:
        said.append("Nothing needs a decision this week.")
    ended = sum(1 for risk in risks if risk.over is not None)
    if first is None and ended:
        what = "1 anomaly that is over waits" if ended == 1 else f"{ended} anomalies that are over wait"
        said.append(f"{what} to be settled.")
    return " ".join(said)


def _first(risks: Sequence[Risk]) -> Risk | None:
    """What to do first of what still runs: an order that is due still saves its money, an anomaly's is gone and who
    looks at it finds out why; then whatever matters, by money. What is over never comes first."""
    runs = [risk for risk in risks if risk.over is None]
    due = [risk for risk in runs if risk.urgent and risk.kind == "stock-out"]
    matters = [risk for risk in runs if not risk.minor]
    return next(iter([*due, *matters, *runs]), None)


def _do(risk: Risk) -> str:
    stake = ""
    if risk.money:
        stake = f" ({wording.money(risk.money)} at stake)"
    if risk.kind == "anomaly":
        return f"find out about {risk.headline.split(';')[0].rstrip('.')}{stake}"
    return risk.headline[:1].lower() + risk.headline[1:] + stake


def _change(found: Figures) -> str:
    if found.whole is None or not found.published_again:
        return "No forecast was published a week ago for these weeks, so there is nothing to compare yet."
    change = found.whole.now / found.whole.published - 1 if found.whole.published else 0.0
    weeks = review_tiles.weeks(found.published_again)
    said = (
        f"For the same {weeks} the forecast is {findings.compared(change, 'than a week ago')}"
        f" ({findings.amount(found.whole.published)} then, {findings.amount(found.whole.now)} now"
    )
    if found.members_before is not None and found.members_now is not None:
        said += f"; {wording.count(found.members_before, 'model')} made it then, {found.members_now} now"
    said += ")"
    if found.movers:
        top = found.movers[0]
        verb = "raised" if top.now > top.published else "lowered"
        said += f"; {top.name} was {verb} most, by {findings.amount(abs(top.now - top.published))}"
        if top.published and abs(top.now / top.published - 1) > review_rules.REVISED:
            said += ": look why before ordering on it"
    return said + "."


# --- small ------------------------------------------------------------------------------------------------------------


def _decisions(rows: pd.DataFrame) -> tuple[Decision, ...]:
    return tuple(
        Decision(
            id=int(row["id"]),
            at=row["decided_at"],
            category=str(row["product_category"]),
            sentence=review_rules.text_of(row["sentence"]),
            decision=str(row["decision"]),
            value=review_rules.number_of(row["value"]),
            reason=review_rules.text_of(row["reason"]),
            owner=review_rules.text_of(row["owner"]),
            status=str(row["status"]),
            outcome=review_rules.text_of(row["outcome"]),
            outcome_money=review_rules.number_of(row["outcome_money"]),
        )
        for row in rows.to_dict("records")
    )


def _shown(every: Sequence[Decision]) -> tuple[Decision, ...]:
    """The newest decisions and the newest with an outcome, newest first."""
    ids = {one.id for one in every[:NEWEST]} | {one.id for one in [one for one in every if one.outcome][:SCORED]}
    return tuple(one for one in every if one.id in ids)


def _outcomes(every: Sequence[Decision]) -> Outcomes:
    known = [one for one in every if one.outcome]
    money = [one.outcome_money or 0.0 for one in known]
    return Outcomes(len(known), sum(value > 0 for value in money), sum(money))
