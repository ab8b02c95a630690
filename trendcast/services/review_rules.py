"""What needs somebody: risks by the money in them, and the rules that are broken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import pandas as pd

from trendcast import wording
from trendcast.inventory.sentences import TOO_LATE
from trendcast.services import findings, incidents
from trendcast.services.accuracy import (
    BIAS_LIMIT,
    BIAS_WEEKS,
    COVERAGE_OFF,
    COVERAGE_WEEKS,
    NEW_DAYS,
    WEEKS_LIMIT,
)
from trendcast.services.review_figures import NOMINAL, Figures, Line
from trendcast.services.review_parts import Breach, Header, Link, Risk
from trendcast.services.review_tiles import LEVEL_WORDS

MOST_LINKED = 40
# The rules of the exceptions; their sentences below say them.
WORSE, WORST_SHARE = 1.5, 0.15
REVISED = 0.20
LATE_DAYS = 1


def risks_of(advised: pd.DataFrame, open_incidents: pd.DataFrame, last_day: date) -> list[Risk]:
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
    name, by = str(row["product_category"]), date_of(row["order_by"])
    headline, why = told(str(row["sentence"]))
    short = kind == "stock-out"
    units = number_of(row["lost_units" if short else "excess_units"])
    return Risk(
        kind, name, headline, why, number_of(row["money"]), units, by,
        number_of(row["order_quantity"]) if short else None, row["status"] == "order_now",
        Link("inventory", (("category", name),)),
    )  # fmt: skip


def told(sentence: str) -> tuple[str, str]:
    """(what to do, why) of a piece of advice: its first sentence without the tags before it, then what happens
    otherwise, what no order can mend, and what drives it. The rest is for the Inventory page."""
    parts = sentence.split(". ")
    first = parts[0]
    while ": " in first and first.split(": ")[0].replace(",", "").replace(" ", "").isupper():
        first = first.partition(": ")[2]
    rest = [part for i, part in enumerate(parts[1:]) if i == 0 or part.startswith((TOO_LATE, "Main drivers"))]
    why = ". ".join(rest).rstrip(".")
    return first.rstrip("."), why + "." if why else ""


def _anomaly_risk(row: dict[str, Any], last_day: date) -> Risk:
    place = findings.series_name(pd.DataFrame([row]))
    ended = date_of(row["day"])
    over = ended if ended is not None and incidents.over(ended, last_day) else None
    why = f"Over since {wording.day(over)}." if over else ""
    if row["cause"]:
        why = f"{why} Likely cause: {row['cause']}.".strip()
    loss, units = number_of(row.get("loss")), number_of(row.get("loss_units"))
    return Risk(
        "anomaly", place, str(row["headline"]), why, None if loss is None else abs(loss),
        None if units is None else abs(units), None, None,
        row["impact"] == "HIGH" and over is None,
        Link("anomaly-inbox", (("incident", str(int(row["incident_id"]))),)), over, row["impact"] == "LOW",
    )  # fmt: skip


def exceptions(
    found: Figures,
    header: Header,
    advised: pd.DataFrame,
    open_incidents: pd.DataFrame,
    done: frozenset[str] = frozenset(),
) -> tuple[Breach, ...]:
    """Every rule that can be checked with how often it is broken, the broken ones first. ``done``: what is settled
    of ``advised`` (services.decisions.settled)."""
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
    due = advised[(advised["status"] == "order_now") & ~advised["product_category"].isin(done)]
    short = due["product_category"].tolist()
    high = open_incidents[open_incidents["impact"] == "HIGH"]
    doubted = open_incidents[open_incidents["kind"] == "DATA_QUALITY"]
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
            "data",
            "incidents in the data are open" if len(doubted) != 1 else "incident in the data is open",
            "Sales are missing, counted twice or in another unit: demand is not judged there until they are right.",
            len(doubted),
            Link("anomaly-inbox", (("kind", "DATA_QUALITY"),)),
            bool((doubted["impact"] == "HIGH").any()),
            tuple(findings.series_name(doubted.iloc[[row]]) for row in range(len(doubted))),
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
            f"band that does not hold: 80 % of weeks, {LEVEL_WORDS[found.level]}",
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


def text_of(value: Any) -> str:
    """A cell as text, '' for none."""
    return "" if value is None or value != value else str(value)


def number_of(value: Any) -> float | None:
    """A cell as a number, None for none."""
    return None if value is None or pd.isna(value) else float(value)


def date_of(value: Any) -> date | None:
    """A cell as a day, None for none."""
    if value is None or pd.isna(value):
        return None
    return value.date() if isinstance(value, datetime) else value
