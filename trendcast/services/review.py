"""The weekly review: the state of the business, what needs a decision, and in which order.

``figures`` is what a run alone decides and can be kept by its id; ``review`` adds what people change meanwhile:
anomalies, advice and decisions. Page and REST (GET /review) show this one object; ``finding`` is its first sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast import wording
from trendcast.services import decisions, findings, forecast, incidents, recommend, review_figures
from trendcast.services.accuracy import (
    BIAS_LIMIT,
    BIAS_WEEKS,
    COVERAGE_OFF,
    COVERAGE_WEEKS,
    NEW_DAYS,
    WEEKS_LIMIT,
)
from trendcast.services.review_figures import NOMINAL, Figures, LagError, Line, Mover, Scope, Volume

if TYPE_CHECKING:
    from trendcast.services.forecast import RunInfo
    from trendcast.store.engine import Database

__all__ = ["Figures", "Line", "Mover", "Review", "Scope", "Volume", "figures", "finding", "review"]

MOST_RISKS, MOST_MOVES, MOST_LINKED = 20, 6, 40
DECISIONS, NEWEST, SCORED = 200, 4, 5  # read; shown of the newest; shown of those with an outcome
STOCK_WEEKS, ALERT_WEEKS = 13, 8
# The rules of the exceptions; their sentences below say them.
WORSE, WORST_SHARE = 1.5, 0.15
REVISED = 0.20
LATE_DAYS = 1
OVER_DAYS = 3  # an anomaly without a notable day for longer is over
NO_STOCK = "no stock is loaded (inventory_daily)"


@dataclass(frozen=True)
class Link:
    """Where to look closer: a page of the dashboard and its query; a repeated name is a list."""

    page: str
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Header:
    """What the review stands on."""

    run_id: int
    kind: str
    data_to: date
    published_at: datetime
    n_series: int
    level: str
    dimension: str
    rows: int  # lines of the review
    days_late: int  # whole days the newest full day is late; 0 for historical data
    covered: float | None  # share of past weeks inside the 80 % band, by the back-test
    covered_weeks: int
    quarantined: int  # rows that loads have set aside
    held: int  # batches that wait for someone to accept them


@dataclass(frozen=True)
class Kpi:
    """A figure with its level, lag and comparison. ``kind``: share, money, units or count; ``better``: -1 lower, 1
    higher, 0 neither; ``against`` is the same figure in ``against_words``; ``note`` a second reference in words."""

    name: str
    label: str
    value: float | None
    kind: str
    basis: str
    link: Link
    against: float | None = None
    against_words: str = ""
    better: int = 0
    note: str = ""
    line: tuple[float, ...] = ()


@dataclass(frozen=True)
class Breach:
    """A rule that is broken by ``count`` things; ``names`` are the first of them."""

    name: str
    label: str
    rule: str
    count: int
    link: Link
    high: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Risk:
    """Something that costs money unless somebody acts. ``kind``: stock-out, overstock or anomaly."""

    kind: str
    name: str  # the category, or where the anomaly is
    headline: str
    why: str
    money: float | None
    units: float | None
    order_by: date | None
    quantity: float | None
    urgent: bool
    link: Link
    over: date | None = None  # its last day, when it no longer runs: nothing more can be saved


@dataclass(frozen=True)
class Standing:
    """What else is known of a line: open anomalies, and of a category its stock and what to do."""

    anomalies: int = 0
    high: int = 0
    stock: str = ""
    recommendation: str = ""


@dataclass(frozen=True)
class Decision:
    """Something decided, and whether it paid."""

    id: int
    at: datetime
    category: str
    sentence: str
    decision: str
    value: float | None
    reason: str
    owner: str
    status: str
    outcome: str
    outcome_money: float | None


@dataclass(frozen=True)
class Outcomes:
    """Of the decisions whose outcome is known: how many, how many paid, and the margin of all together."""

    known: int
    paid: int
    money: float


@dataclass(frozen=True)
class Review:
    """See the module. ``standing`` has one entry per line of ``figures``, in its order; ``unit`` is what sales are
    ranked and said in; risks are ranked by money wherever there is any."""

    figures: Figures
    header: Header
    finding: str
    unit: str
    kpis: tuple[Kpi, ...]
    risers: tuple[Line, ...]
    fallers: tuple[Line, ...]
    exceptions: tuple[Breach, ...]
    risks: tuple[Risk, ...]
    more_risks: int
    standing: tuple[Standing, ...]
    decisions: tuple[Decision, ...]  # the newest, and the newest with an outcome
    outcomes: Outcomes
    change: str  # one sentence on what changed since last week
    movement: str  # one sentence on risers and fallers


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
    open_incidents = incidents.inbox(
        db, statuses=incidents.OPEN, categories=scope.categories, regions=scope.regions, stores=scope.stores
    )
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
            days=14 * STOCK_WEEKS,
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
    past: bool = False,
) -> Review:
    """The review of what was read: ``advised`` as services.recommend.advice, ``open_incidents`` as
    services.incidents.inbox, ``decided`` as services.decisions.log, ``stock`` as sql/review_stock.sql; ``past``: not
    the run of now, so its data cannot be late."""
    late = 0 if run.historical or past else max(0, (today - run.last_day).days - 1)
    header = Header(
        run.id, run.kind, run.last_day, run.published_at, run.n_series, found.level, found.dimension, len(found.lines),
        late, found.covered, found.covered_weeks, quarantined, held,
    )  # fmt: skip
    unit = unit if found.money.ahead is not None else "units"
    risks = _risks(advised, open_incidents, run.last_day)
    risers, fallers = _moves(found, unit)
    breaches = _exceptions(found, header, advised, open_incidents)
    every = _decisions(decided)
    stock_kpis = _stock_kpis(stock, advised, found.scope)
    return Review(
        figures=found,
        header=header,
        finding=_finding(found, header, unit, risks, breaches),
        unit=unit,
        kpis=(*_forecast_kpis(found, unit), *stock_kpis, _alerts(open_incidents, run.last_day)),
        risers=risers,
        fallers=fallers,
        exceptions=breaches,
        risks=tuple(risks[:MOST_RISKS]),
        more_risks=max(0, len(risks) - MOST_RISKS),
        standing=_standing(found, advised, open_incidents),
        decisions=_shown(every),
        outcomes=_outcomes(every),
        change=_change(found),
        movement=_movement(found, risers, fallers, unit) + _without_ended(found, unit),
    )


def finding(db: Database, run: RunInfo, scope: Scope | None = None, *, today: date, unit: str = "units") -> str:
    """The state of the business and what to do first, in a few sentences: what stands on top of the review."""
    return review(db, run, scope, today=today, unit=unit).finding


# --- tiles -----------------------------------------------------------------------------------------------------------

_LEVELS = {
    "category": "category",
    "category_region": "category × region",
    "category_store": "category × store",
}


def _forecast_kpis(found: Figures, unit: str) -> list[Kpi]:
    level = _LEVELS[found.level]
    volume = found.money if unit == "money" else found.units
    kpis = [
        Kpi(
            "ahead",
            f"Next {review_figures.AHEAD_WEEKS} weeks",
            volume.ahead,
            unit,
            f"Expected sales of the {review_figures.AHEAD_WEEKS} whole weeks"
            + (f" from {wording.day(found.first_week)}" if found.first_week else "")
            + f", against {_reference_words(volume)}. The line: units of the last 13 weeks, then the forecast.",
            Link("forecasts"),
            volume.reference,
            "vs last year" if volume.last_year else "vs the last 12 weeks",
            0,
            line=found.weeks,
        )
    ]
    kpis += [_error_kpi(error, level, found.level) for error in found.errors]
    one = found.errors[0]
    kpis.append(
        Kpi(
            "bias",
            f"Bias, {level}",
            one.bias,
            "share",
            f"Forecast minus actual as a share of sales, {level}, 1 week ahead, {_period(one)}. Above zero the "
            "forecast was too high.",
            Link("accuracy", (("level", found.level),)),
            better=0,
            note="" if one.bias_recent is None else f"newest 4 weeks {_signed(one.bias_recent)}",
            line=one.bias_line,
        )
    )
    added = found.value_added
    kpis.append(
        Kpi(
            "value_added",
            f"Value added, {level}",
            _gain(added),
            "share",
            f"Share of the best naive forecast's error that is gone, {level}, "
            + (f"{_weeks(added.lag)} ahead, {_period(added)}" if added else "not measured yet")
            + ". Naive are last week's and last year's sales.",
            Link("accuracy", (("level", found.level),)),
            better=1,
            note="of the best naive's error is gone",
            line=added.added_line if added else (),
        )
    )
    return kpis


def _error_kpi(error: LagError, level: str, name: str) -> Kpi:
    return Kpi(
        f"wape_{error.lag}",
        f"Error at {_weeks(error.lag)}, {level}",
        error.wape,
        "share",
        f"WAPE, {level}, {_weeks(error.lag)} ahead, {_period(error)}: distance between forecast and actual as a share "
        "of sales. Lower is better.",
        Link("accuracy", (("level", name),)),
        error.wape_before,
        "vs a week ago",
        -1,
        note=("" if error.published else "by the back-test; ")
        + ("no naive to compare" if error.naive is None else f"best naive {wording.percent(error.naive, 1)}"),
        line=error.line,
    )


def _gain(error: LagError | None) -> float | None:
    if error is None or not error.naive or error.wape_of_naive_weeks is None:
        return None
    return 1 - error.wape_of_naive_weeks / error.naive


def _period(error: LagError) -> str:
    return f"published forecasts of the last {_weeks(error.weeks)}" if error.published else "by the back-test"


def _weeks(count: int) -> str:
    return f"{count} week" if count == 1 else f"{count} weeks"


def _signed(share: float) -> str:
    return wording.percent(share, 1, sign=True)


def _stock_kpis(stock: pd.DataFrame, advised: pd.DataFrame, scope: Scope) -> list[Kpi]:
    """Stock is kept per category: regions and stores of the scope do not narrow it."""
    where = "all regions together" if scope.regions or scope.stores else "category"
    by_week = stock.set_index("weeks_ago").reindex(range(2 * STOCK_WEEKS)).astype(float)
    now, before = by_week.iloc[:STOCK_WEEKS], by_week.iloc[STOCK_WEEKS:]
    share, earlier = (
        float(part["stockouts"].sum() / part["days"].sum()) if part["days"].sum() > 0 else None
        for part in (now, before)
    )
    rates = (by_week["stockouts"] / by_week["days"].where(by_week["days"] > 0))[::-1].dropna()
    has_value = bool(advised["stock_value"].notna().any())
    value = float(advised["stock_value"].sum()) if has_value else None
    carrying = advised["carrying_cost_year"].sum(min_count=1)
    values = by_week["value"][::-1].dropna() if has_value else pd.Series(dtype=float)
    quarter_ago = by_week["value"].get(STOCK_WEEKS)
    # "unit cost 11.2 (margin 35 %)" of one category and another figure of the next are one assumption.
    assumed = sorted({re.split(r" [\d(]", words)[0] for listed in advised["assumed"] for words in listed})
    return [
        Kpi(
            "stockouts",
            "Stock-out rate",
            share,
            "share",
            f"Days of a category with a stock-out, as a share of all its days, {where}, last {STOCK_WEEKS} weeks "
            f"against the {STOCK_WEEKS} before. The line: week by week.",
            Link("inventory"),
            earlier,
            f"vs the {STOCK_WEEKS} weeks before",
            -1,
            note="" if share is not None else NO_STOCK,
            line=tuple(rates.tolist()),
        ),
        Kpi(
            "stock_value",
            "Inventory value",
            value,
            "money",
            f"Stock at cost, {where}; the line: the last {2 * STOCK_WEEKS} weeks at today's cost."
            + (f" Assumed, not measured: {', '.join(assumed)}." if assumed else ""),
            Link("inventory"),
            float(quarter_ago) if value is not None and quarter_ago is not None and quarter_ago > 0 else None,
            "vs 13 weeks ago",
            0,
            note=NO_STOCK
            if advised.empty
            else ""
            if not np.isfinite(carrying)
            else f"carrying it costs {wording.money(float(carrying))} a year",
            line=tuple(values.tolist()),
        ),
    ]


def _alerts(found: pd.DataFrame, last_day: date) -> Kpi:
    high = found[found["impact"] == "HIGH"]
    lost = found["loss"].abs().sum(min_count=1)
    ago = (pd.Timestamp(last_day) - pd.to_datetime(found["first_day"])).dt.days // 7
    began = [float((ago == week).sum()) for week in range(ALERT_WEEKS - 1, -1, -1)]
    return Kpi(
        "alerts",
        "Open alerts",
        float(len(found)),
        "count",
        "Anomalies that are new or acknowledged, each with all it caused counted once. High: money at risk is large "
        f"for this retailer. The bars: when they began, the last {ALERT_WEEKS} weeks.",
        Link("anomaly-inbox"),
        better=-1,
        note=f"{len(high)} high" + (f", {wording.money(float(lost))} off" if np.isfinite(lost) and lost else ""),
        line=tuple(began) if any(began) else (),
    )


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


def _reference_words(volume: Volume) -> str:
    return "the same weeks last year" if volume.last_year else "the last 12 weeks"


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
            f"({_signed(top.change or 0.0)} on {_reference_words(top)})"
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
    return (
        f"{said}: without {'it' if len(gone) == 1 else 'them'}, {_signed(sum(ahead) / sum(filter(None, before)) - 1)}."
    )


def _standing(found: Figures, advised: pd.DataFrame, open_incidents: pd.DataFrame) -> tuple[Standing, ...]:
    column = "product_category" if found.dimension == "category" else found.dimension
    counted = open_incidents.groupby(column)["impact"] if len(open_incidents) else None
    total = counted.size() if counted is not None else {}
    high = counted.agg(lambda impacts: int((impacts == "HIGH").sum())) if counted is not None else {}
    stock: dict[str, tuple[str, str]] = {}
    if found.dimension == "category":
        stock = {
            str(name): (str(status), told(str(sentence))[0])
            for name, status, sentence in zip(
                advised["product_category"], advised["status"], advised["sentence"], strict=True
            )
        }
    result = []
    for line in found.lines:
        status, recommendation = stock.get(line.name, ("", ""))
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


def _risks(advised: pd.DataFrame, open_incidents: pd.DataFrame, last_day: date) -> list[Risk]:
    """Stock-outs, overstock and open anomalies, most money first; what has no price comes after, and what is over
    last: its money is gone."""
    due = advised.loc[advised["status"].isin(list(_STOCK_KINDS)), _STOCK_COLUMNS]
    risks = [_stock_risk(row) for row in due.to_dict("records")]
    risks += [_anomaly_risk(row, last_day) for row in open_incidents.to_dict("records")]
    return sorted(
        risks,
        key=lambda risk: (
            risk.over is not None, risk.money is None, -(risk.money or 0.0), not risk.urgent, -(risk.units or 0.0)
        ),
    )  # fmt: skip


_STOCK_COLUMNS = [
    "product_category", "status", "sentence", "money", "lost_units", "excess_units", "order_by", "order_quantity"
]  # fmt: skip
_STOCK_KINDS = {"order_now": "stock-out", "order_soon": "stock-out", "excess": "overstock"}


def _stock_risk(row: dict[str, Any]) -> Risk:
    kind = _STOCK_KINDS[row["status"]]
    name, by = str(row["product_category"]), _date(row["order_by"])
    headline, why = told(str(row["sentence"]))
    short = kind == "stock-out"
    return Risk(
        kind, name, headline, why, _number(row["money"]), _number(row["lost_units" if short else "excess_units"]), by,
        _number(row["order_quantity"]) if short else None, row["status"] == "order_now",
        Link("inventory", (("category", name),)),
    )  # fmt: skip


def told(sentence: str) -> tuple[str, str]:
    """(what to do, why) of a piece of advice: its first sentence without the tags before it, then what happens
    otherwise and what drives it. The rest is for the Inventory page."""
    parts = sentence.split(". ")
    first = parts[0]
    while ": " in first and first.split(": ")[0].replace(",", "").replace(" ", "").isupper():
        first = first.partition(": ")[2]
    rest = [part for i, part in enumerate(parts[1:]) if i == 0 or part.startswith("Main drivers")]
    why = ". ".join(rest).rstrip(".")
    return first.rstrip("."), why + "." if why else ""


def _anomaly_risk(row: dict[str, Any], last_day: date) -> Risk:
    place = findings.series_name(pd.DataFrame([row]))
    ended = _date(row["day"])
    over = ended if ended is not None and (last_day - ended).days > OVER_DAYS else None
    why = f"Over since {wording.day(over)}." if over else ""
    if row["cause"]:
        why = f"{why} Likely cause: {row['cause']}.".strip()
    loss, units = _number(row.get("loss")), _number(row.get("loss_units"))
    return Risk(
        "anomaly", place, str(row["headline"]), why, None if loss is None else abs(loss),
        None if units is None else abs(units), None, None,
        row["impact"] == "HIGH" and over is None,
        Link("anomaly-inbox", (("incident", str(int(row["incident_id"]))),)), over,
    )  # fmt: skip


def _exceptions(
    found: Figures, header: Header, advised: pd.DataFrame, open_incidents: pd.DataFrame
) -> tuple[Breach, ...]:
    """Every rule that can be checked with how often it is broken, the broken ones first."""
    many = {"category": "categories", "region": "regions", "store": "stores"}[found.dimension]

    def of(name: str, words: str, rule: str, page: str, lines: Sequence[Line]) -> Breach:
        """A rule on lines; ``words`` begin with the verb of several, as in 'were off'."""
        names = tuple(line.name for line in lines)
        label = f"{many} {words}" if len(names) != 1 else f"{found.dimension} {_one(words)}"
        query = tuple((found.dimension, one) for one in names[:MOST_LINKED])
        return Breach(name, label, rule, len(names), Link(page, query), False, names)

    lines = [line for line in found.lines if not line.ended]
    worse = [
        line
        for line in lines
        if line.recent_error is not None
        and line.earlier_error is not None
        and line.recent_error > max(WORSE * line.earlier_error, WORST_SHARE)
    ]
    biased = [line for line in lines if line.bias_run >= BIAS_WEEKS]
    off = [
        line
        for line in lines
        if line.covered is not None
        and line.covered_weeks >= COVERAGE_WEEKS
        and abs(line.covered - NOMINAL) > COVERAGE_OFF
    ]
    revised = [line for line in lines if line.units.revision is not None and abs(line.units.revision) > REVISED]
    fresh = [line for line in lines if line.days_observed < NEW_DAYS]
    short = advised[advised["status"] == "order_now"]["product_category"].tolist() if len(advised) else []
    high = open_incidents[open_incidents["impact"] == "HIGH"]
    found_all = [
        Breach(
            "late",
            "days of sales are late" if header.days_late != 1 else "day of sales is late",
            "The newest full day of sales is older than yesterday.",
            header.days_late if header.days_late > LATE_DAYS - 1 else 0,
            Link("data"),
            header.days_late > LATE_DAYS,
        ),
        Breach(
            "held",
            "loaded batch waits" if header.held == 1 else "loaded batches wait",
            "A batch that looked wrong as a whole was held back.",
            header.held,
            Link("data"),
            True,
        ),
        Breach(
            "stockout",
            "categories must be ordered now" if len(short) != 1 else "category must be ordered now",
            "Waiting longer makes a stock-out likelier than intended.",
            len(short),
            Link("inventory", tuple(("category", str(name)) for name in short[:MOST_LINKED])),
            True,
            tuple(map(str, short)),
        ),
        Breach(
            "anomalies",
            "high anomalies are open" if len(high) != 1 else "high anomaly is open",
            "Sales were far outside what was expected, and much money is in it.",
            len(high),
            Link("anomaly-inbox", (("impact", "HIGH"),)),
            True,
        ),
        of(
            "accuracy",
            "were forecast much worse",
            f"Error of the last 4 weeks above {WORSE} times that of the 13 weeks before, and above "
            f"{wording.percent(WORST_SHARE)}.",
            "accuracy",
            worse,
        ),
        of(
            "bias",
            f"were off to one side for {BIAS_WEEKS} weeks",
            f"Forecast more than {wording.percent(BIAS_LIMIT)} too high, or too low, {BIAS_WEEKS} weeks in a row.",
            "accuracy",
            biased,
        ),
        of(
            "coverage",
            "have bands that do not hold",
            f"The 80 % band held less than {wording.percent(NOMINAL - COVERAGE_OFF)} or more than "
            f"{wording.percent(NOMINAL + COVERAGE_OFF)} of at least {COVERAGE_WEEKS} published weeks.",
            "accuracy",
            off,
        ),
        Breach(
            "level_coverage",
            f"band that does not hold: 80 % of weeks, {_LEVELS[found.level]}",
            f"In the back-test the 80 % band of weeks held {wording.percent(found.covered or 0.0)} of "
            f"{wording.count(found.covered_weeks, 'week')}, more than {wording.percent(WEEKS_LIMIT)} off.",
            int(found.covered is not None and abs(found.covered - NOMINAL) > WEEKS_LIMIT),
            Link("accuracy", (("level", found.level),)),
        ),
        of(
            "revised",
            f"were revised by over {wording.percent(REVISED)}",
            "This week's forecast against the one published a week ago, for the same weeks.",
            "forecasts",
            revised,
        ),
        of(
            "new",
            "are new, with little history",
            f"Fewer than {NEW_DAYS} days of sales: the forecast leans on their like.",
            "forecasts",
            fresh,
        ),
    ]
    published = any(line.covered_weeks >= COVERAGE_WEEKS for line in lines)
    known = {
        "stockout": bool(len(advised)) and bool((advised["status"] != "unknown").any()),
        "accuracy": any(line.earlier_error is not None for line in lines),
        "bias": any(line.error is not None for line in lines),
        "coverage": published,
        "level_coverage": not published and found.covered is not None and found.covered_weeks >= COVERAGE_WEEKS,
        "revised": any(line.units.revision is not None for line in lines),
    }
    checked = [breach for breach in found_all if known.get(breach.name, True)]
    return tuple(sorted(checked, key=lambda breach: breach.count == 0))


def _one(words: str) -> str:
    """The same words of one thing."""
    verb, _, rest = words.partition(" ")
    return {"were": "was", "have": "has", "are": "is"}[verb] + " " + rest


# --- sentences -------------------------------------------------------------------------------------------------------


def _finding(found: Figures, header: Header, unit: str, risks: Sequence[Risk], breaches: Sequence[Breach]) -> str:
    total = found.money if unit == "money" else found.units
    said = []
    if total.ahead is not None:
        amount = findings.amount(total.ahead, unit)
        compared = (
            ", " + findings.compared(total.change, f"than {_reference_words(total)}")
            if total.change is not None
            else ""
        )
        said.append(f"The next {review_figures.AHEAD_WEEKS} weeks should bring sales of {amount}{compared}.")
    late = next((breach for breach in breaches if breach.name == "late" and breach.high), None)
    # An order still saves its money; an anomaly's is gone, and who looks at it finds out why.
    first = next((risk for risk in risks if risk.urgent and risk.kind == "stock-out"), risks[0] if risks else None)
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
    elif not risks and not late:
        said.append("Nothing needs a decision this week.")
    return " ".join(said)


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
    weeks = _weeks(found.published_again)
    said = (
        f"For the same {weeks} the forecast is {findings.compared(change, 'than a week ago')}"
        f" ({findings.amount(found.whole.published)} then, {findings.amount(found.whole.now)} now)"
    )
    if found.members_before is not None and found.members_now is not None:
        said += f" (last week {wording.count(found.members_before, 'model')} made it, now {found.members_now})"
    if found.movers:
        top = found.movers[0]
        verb = "raised" if top.now > top.published else "lowered"
        said += f"; {top.name} was {verb} most, by {findings.amount(abs(top.now - top.published))}"
        if top.published and abs(top.now / top.published - 1) > REVISED:
            said += ": look why before ordering on it"
    return said + "."


# --- small ------------------------------------------------------------------------------------------------------------


def _decisions(rows: pd.DataFrame) -> tuple[Decision, ...]:
    return tuple(
        Decision(
            id=int(row["id"]),
            at=row["decided_at"],
            category=str(row["product_category"]),
            sentence=_text(row["sentence"]),
            decision=str(row["decision"]),
            value=_number(row["value"]),
            reason=_text(row["reason"]),
            owner=_text(row["owner"]),
            status=str(row["status"]),
            outcome=_text(row["outcome"]),
            outcome_money=_number(row["outcome_money"]),
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


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _date(value: Any) -> date | None:
    if value is None or pd.isna(value):
        return None
    return value.date() if isinstance(value, datetime) else value
