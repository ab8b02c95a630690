"""An entry in words: the headline with its figures, the likely cause, the rule with its numbers, and what to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np

from trendcast import wording
from trendcast.anomalies.impact import NODE_SHARE, Q_LOW, REL_HIGH
from trendcast.anomalies.trend import LASTING

NOTABLE = 2.5  # on the customer's scale
LEAST_SHARED = 0.005  # of what was expected, below which a common movement is not told
ADDED_UP = (*LASTING, "TEMPORARY")  # classes of what many small deviations have shown
Key = tuple[str, str, str, str]


def node_name(key: Key) -> str:
    """What a node is called in a sentence."""
    level, category, region, store = key
    if level == "total":
        return "All categories"
    if level == "region":
        return f"Region {region}"
    if level == "store":
        return f"Store {store}"
    place = store or region
    return f"{category} in {place}" if place else category


def _percent(change: float) -> str:
    return ("+" if change > 0 else "") + wording.percent(change)


def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def headline(
    key: Key, cls: str, kind: str, worst: Mapping[str, Any], start: str, last: str, days: int,
    loss: float | None, loss_units: float | None, facts: Mapping[str, Any],
) -> str:  # fmt: skip
    """One sentence or two: what was sold and expected, how far off, what it comes to, who makes up most of it."""
    name = node_name(key)
    if kind == "DATA_QUALITY":
        return _fault(name, cls, worst, last, facts)
    actual, expected = worst["actual"], worst["expected"]
    change = actual / expected - 1 if expected else None
    band = ""
    if worst["lo"] is not None and worst["hi"] is not None:
        band = f" (band {wording.short(worst['lo'])}–{wording.short(worst['hi'])})"
    moved = f"; {_percent(change)}" if change is not None and abs(change) < 20 else ""
    sentence = (
        f"{name}: {wording.units(actual)} sold, {wording.short(expected)} expected{band} "
        f"on {wording.day(_day(worst['day']))}{moved}"
    )
    word = "missing" if actual < (expected or 0) else "more than expected"
    comes_to = f"{wording.units(loss_units)} {word}" if loss is None else f"worth {wording.money(loss)}"
    if cls == "PROMO_WITHOUT_UPLIFT" and "lift" in facts:
        sentence += (
            f"; a promotion runs since {wording.short_day(_day(start))}, but did not lift sales: it brought "
            f"{_percent(facts['came'])}, earlier ones {_percent(facts['lift'])}; {comes_to} so far"
        )
    elif cls == "LEVEL_SHIFT":
        side = "lower" if actual < (expected or 0) else "higher"
        sentence += f"; {side} since {wording.short_day(_day(start))}, {comes_to}{_until(facts)}"
    elif cls == "TREND_CHANGE":
        side = "falling" if actual < (expected or 0) else "rising"
        sentence += f"; {side} since about {wording.short_day(_day(start))}, {comes_to}{_until(facts)}"
    elif days > 1:
        sentence += f"; {comes_to} on {days} days since {wording.short_day(_day(start))}"
    else:
        sentence += f", {comes_to}"
    parts = facts.get("explained") or []
    if parts:
        names = " and ".join(str(part["name"]) for part in parts[:3])
        share = sum(part["share"] for part in parts)
        sentence += f". {names} make{'s' if len(parts) == 1 else ''} up {wording.percent(min(share, 1.0))} of it"
    elif facts.get("leaning"):
        sentence += f". {facts['leaning']} of {facts['children']} series moved with it"
    return sentence + "."


def _until(facts: Mapping[str, Any]) -> str:
    back = facts.get("back")
    return f", back to usual since {wording.short_day(_day(back))}" if back else " so far"


def _fault(name: str, cls: str, worst: Mapping[str, Any], last: str, facts: Mapping[str, Any]) -> str:
    day = wording.day(_day(last))
    if cls == "MISSING_FEED":
        return f"{name}: no sales data of {day}, {facts.get('due', 0)} rows were due."
    if cls == "PARTIAL_FEED":
        return f"{name}: only {facts.get('known', 0)} of {facts.get('due', 0)} rows came for {day}."
    ratio = facts.get("ratio") or 1.0
    if cls == "DOUBLED_FEED":
        return (
            f"{name}: the sales of {day} are {wording.fixed(ratio, 1)} times what was expected in nearly every series "
            f"({wording.units(worst['actual'])}, {wording.short(worst['expected'])} expected): they look counted twice."
        )
    if cls == "LATE_FEED":
        return f"{name}: no sales data of {day} or later have arrived."
    if cls == "KNOWN_FAULT":
        like = wording.day(_day(str(facts["like"]))) if facts.get("like") else "a day before"
        return (
            f"{name}: the sales of {day} are {wording.percent(ratio)} of what was expected, as on {like}, "
            "when somebody found that the data were wrong."
        )
    return (
        f"{name}: the sales of {day} are {wording.fixed(ratio, 3 if ratio < 1 else 0)} times what was expected in "
        "nearly every series: their unit looks changed."
    )


CAUSES = {
    "data quality": "data quality",
    "stock-out": "stock-out",
    "part of a wider movement": "part of a wider movement",
    "": "unexplained",
}


def cause(found: str, cls: str, kind: str, facts: Mapping[str, Any]) -> str:
    """The likely cause in a few words."""
    if found:
        return CAUSES.get(found, found)
    if cls == "ZERO_RUN" and kind == "DEMAND":
        return "possible stock-out"
    if facts.get("some"):
        return "some there moved alike, the others did not"
    if facts.get("children"):
        return "everything there moved together"
    return "unexplained"


def held(cls: str, kind: str, why: str, facts: Mapping[str, Any]) -> int:
    """For how many days, at least, a change has held and still holds, so that its level is one to accept; 0 for what
    has not, is back to usual, or is explained by the calendar or a promotion."""
    explained = why.startswith(("calendar", "promotion"))
    if kind != "DEMAND" or cls not in LASTING or explained or facts.get("back"):
        return 0
    return int(facts.get("lasted") or 0)


def next_step(
    cls: str, kind: str, why: str, direction: int, key: Key, back: dt.date | None = None,
    facts: Mapping[str, Any] | None = None,
) -> str:  # fmt: skip
    """What to do, in one sentence. ``back``: the day from which there was stock again; ``facts``: of the entry, with
    ``lasted`` and ``back`` of a lasting change (anomalies.recovery)."""
    name = node_name(key)
    if kind == "DATA_QUALITY":
        steps = {
            "MISSING_FEED": "Ask for the missing file and load it; demand is not judged there until it arrives.",
            "PARTIAL_FEED": "Ask for the rest of the file and load it; demand is not judged there until it arrives.",
            "DOUBLED_FEED": "Have the file checked and load the right one; demand is not judged there until then.",
            "LATE_FEED": "Ask why no data arrive.",
            "KNOWN_FAULT": "Have the file checked and load the right one; if the sales are real, undo the verdict.",
        }
        return steps.get(cls, "Have the unit of the file checked and load the right one.")
    if kind == "SUPPLY" and back is not None:
        return f"Stock of {key[1] or name} is back since {wording.day(back)}: record why it ran out."
    if kind == "SUPPLY":
        return f"Order or move stock of {key[1] or name}: it sold less because there was none."
    if why.startswith("calendar"):
        return "Compare with earlier years; if it was to be expected, say so, and the calendar learns it."
    if why == "promotion without uplift":
        return "Check that the promotion really ran: price tags, shelf, advertisement."
    if why == "promotion":
        return "Check that stock lasts to the end of the promotion."
    if why == "possible stock-out":
        return f"Look at the shelf: {name} may be out of stock."
    facts = facts or {}
    if cls in LASTING and facts.get("back"):
        return f"Back to usual since {wording.day(_day(facts['back']))}: resolve it when nothing is left to do."
    if lasted := held(cls, kind, why, facts):
        return f"It has stayed so for {lasted} days or more: accept it as the new normal, or find out what changed."
    if cls == "LEVEL_SHIFT":
        return "Find out what changed; if it is here to stay, accept the new level."
    if cls == "TREND_CHANGE":
        return "Find out what drives it: price, competitor, season; if it is here to stay, accept it as the new normal."
    if key[0] in ("region", "store", "total") and direction < 0:
        return f"Ask {name} whether it was open and its tills and feeds worked."
    if direction > 0:
        return "Check that stock covers it, and whether it will last."
    return f"Ask who runs {name} what happened: price, shelf, competitor."


def rule(
    worst: Mapping[str, Any], cls: str, kind: str, impact: str, facts: Mapping[str, Any], money: bool,
    start: dt.date | None = None,
) -> list[str]:  # fmt: skip
    """The rule that found it, with its numbers filled in. ``start``: the day a lasting change began."""
    if cls == "LATE_FEED":
        return [
            f"The newest sales are of {wording.day(_day(facts['last_day']))}." if facts.get("last_day") else "",
            "Sales are late when, at the checks of the day, their newest day lies more than 2 days back.",
        ]
    if cls == "KNOWN_FAULT":
        return [
            "Somebody found the same to be a fault of the data before: the same sales were off, by as much.",
            "Demand is not judged there until the data are right, or that verdict is taken back.",
        ]
    if kind == "DATA_QUALITY":
        return [
            f"{facts.get('known', 0)} rows came, {facts.get('due', 0)} were due: as on that weekday in the last weeks.",
            "A day fails when no rows came, or fewer than 95 % of those due, or when nearly every series is off by the "
            "same factor.",
        ]
    sentences = []
    if facts.get("frozen"):
        sentences.append("Expected is the forecast published before that day.")
    else:
        sentences.append(
            "Expected is the middle of that weekday in the last eight weeks, with their trend, events and promotions."
        )
    sentences += _certainty(worst, cls, facts, start)
    shared = float(np.expm1(facts.get("common") or 0.0))  # it is kept as a logarithm
    if abs(shared) >= LEAST_SHARED:
        side = "more" if shared > 0 else "less"
        sentences.append(
            f"{wording.percent(abs(shared))} {side} than expected was sold by all, or all over its region or category; "
            "this is measured beyond that."
        )
    limit = facts.get("limit")
    if limit:
        said = wording.money(limit) if money else wording.units(limit)
        sentences.append(
            f"Its impact is {impact.lower()}. High takes near certainty, {wording.percent(REL_HIGH)} off, and {said} a "
            f"day at stake; of a whole region, store or category {wording.percent(NODE_SHARE)} of what all sell a day."
        )
    if facts.get("assumed_margin"):
        share = wording.percent(float(facts["assumed_margin"]))
        sentences.append(f"Where a cost is not known, {share} of the price is assumed to be lost with a unit.")
    if cls == "LEVEL_SHIFT":
        sentences.append("A step fits its last two weeks as well as a slope, or a jolt that fades.")
    if cls == "TREND_CHANGE":
        sentences.append("It drifts further off from day to day: a slope fits its last two weeks better than a step.")
    if cls == "TEMPORARY":
        sentences.append("It was far off at once and comes back: a jolt that fades fits its last two weeks best.")
    if cls == "PROMO_WITHOUT_UPLIFT":
        sentences.append(
            "Over all its days the promotion brought at most half of the usual uplift, which was learnt from three "
            "promotions or more."
        )
    return sentences


def certainty(
    worst: Mapping[str, Any], cls: str, kind: str, facts: Mapping[str, Any], start: dt.date | None = None
) -> str:
    """How sure it is, in a sentence or two: those of the rule that say so."""
    if kind == "DATA_QUALITY":
        return " ".join(one for one in rule(worst, cls, kind, "", facts, money=False) if one)
    return " ".join(_certainty(worst, cls, facts, start))


def _certainty(worst: Mapping[str, Any], cls: str, facts: Mapping[str, Any], start: dt.date | None) -> list[str]:
    sentences = []
    z, q = worst["z"], worst["q"]
    # A stock-out, too, may be known by many days none of which stands out.
    summed = cls in ADDED_UP or (z is not None and abs(z) < NOTABLE and q is not None and q > Q_LOW)
    if z is not None:
        off = f"{wording.fixed(abs(z), 1)} times as far off as is usual for it"
        if summed:
            sentences.append(f"On its worst day it was {off}.")
        else:
            sentences.append(f"It was {off}; 2.5 is notable, 4 is high.")
    if summed:
        since = f" since {wording.day(start)}" if start else ""
        sentences.append(
            f"No single day decides: what its days were off to one side{since} was added up, and passed the limit."
        )
    elif q is not None:
        sentences.append(
            f"Among {wording.fixed(facts.get('tests', 1))} series tested that day, at most "
            f"{_rate(q)} of findings as clear as this are chance."
        )
    return sentences


def _rate(q: float) -> str:
    return wording.percent(q, 1) if q >= 0.001 else wording.percent(0.001, 1)
