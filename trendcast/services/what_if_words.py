"""What a what-if says: drivers and their effects, changes and what they do, as sentences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from trendcast import wording

if TYPE_CHECKING:
    from trendcast.services.what_if import Baseline, Change, Changes, Scenario

PROMOTION, AFTER, PRICE, ECONOMY = "promotion", "after_promotion", "price", "economic_index"
COMPETITOR, MENTIONS, WEATHER = "competitor_promotion_intensity", "social_media_mentions", "weather:"
LABELS = {
    PROMOTION: "Promotion",
    PRICE: "Price",
    ECONOMY: "Economic index",
    COMPETITOR: "Competitors' promotions",
    MENTIONS: "Social media mentions",
    "weather": "Weather",
}
# What a retailer loads to have a driver.
LOAD = {
    PROMOTION: "promotion_flag in sales_daily (and plan_daily for the days ahead)",
    PRICE: "unit_price or sales_revenue in sales_daily",
    "weather": "weather_condition in sales_daily",
    ECONOMY: "economic_index in market_factors",
    COMPETITOR: "competitor_promotion_intensity in market_factors",
    MENTIONS: "social_media_mentions in market_factors",
}
Z80 = 1.2815515655446004  # half the width of an 80 % band in standard deviations


def label(name: str) -> str:
    """A driver's name in planner's words."""
    return f"Weather: {name.removeprefix(WEATHER)}" if name.startswith(WEATHER) else LABELS.get(name, name)


def absent(base: Baseline) -> list[str]:
    """What is not among the drivers, why, and what to load to have it; a sentence each."""
    return [
        f"{LABELS[name]}: {why}." + (f" Load {LOAD[name]}." if "hardly" not in why else "")
        for name, why in base.missing.items()
        if name in LOAD
    ]


def effect(
    base: Baseline, name: str, size: float, error: float, high: float, expected: float, weight: np.ndarray
) -> str:
    """What a driver does, with its 80 % range."""
    if name == PROMOTION:
        cut = float(weight @ base.cut)
        with_cut = f", its usual price cut of {wording.percent(-np.expm1(cut))} included" if cut < -0.01 else ""
        return f"A day of promotion sells {_ranged(size, error, 1.0)}{with_cut}{_afterwards(base, weight)}."
    if name == PRICE:
        return f"A price {wording.percent(0.1)} lower sells {_ranged(size, error, np.log(0.9))}."
    if name.startswith(WEATHER):
        kind = name.removeprefix(WEATHER)
        return f"A day reported as {kind} sells {_ranged(size, error, 1.0)}, compared with {base.clear}."
    if name == MENTIONS:
        when = f", {wording.count(base.lead, 'day')} later" if base.lead else ""
        return f"Twice the mentions sell {_ranged(size, error, np.log(2))}{when}."
    if name == ECONOMY and name in base.logarithmic:
        return f"An index {wording.percent(0.01)} higher goes with {_ranged(size, error, np.log(1.01))}."
    return f"At the highest ever seen ({wording.short(high)}) it goes with {_ranged(size, error, high - expected)}."


def _afterwards(base: Baseline, weight: np.ndarray) -> str:
    """What a promotion takes from the days behind it, where that is anything."""
    if AFTER not in base.names:
        return ""
    fall = float(np.expm1(weight @ base.figures["effect"][:, base.names.index(AFTER)]))
    return f"; the day after it {wording.percent(-fall)} less" if fall < -0.005 else ""


def _ranged(size: float, error: float, step: float) -> str:
    middle = float(np.expm1(size * step))
    low, high = sorted(float(np.expm1(size * step + z * error * abs(step))) for z in (-Z80, Z80))
    digits = 0 if abs(middle) >= 0.02 else 1
    words = f"{wording.percent(abs(middle), digits)} {'more' if middle >= 0 else 'less'}"
    if round(100 * abs(middle), digits) == 0:
        words = "about the same"
    return (
        f"{words} (80{wording.NARROW}% range {wording.percent(low, digits, sign=True)} to "
        f"{wording.percent(high, digits, sign=True)})"
    )


def contradiction(name: str) -> str:
    seen = {PROMOTION: "promotions went along with lower sales", PRICE: "higher prices went along with higher sales"}
    return (
        f"In the history of this selection {seen.get(name, 'more of it went along with higher sales')}. That is not "
        "believed to be cause and effect, so it is counted as no effect."
    )


def finding(base: Baseline, scenario: Scenario, name: str = "") -> str:
    """The sentence above the chart: what is changed, what it does, how sure that is. ``name``: of the selection."""
    if not scenario.changes:
        total = wording.units(float(base.mean.sum()))
        who = f"{name}: " if name else ""
        return (
            f"{who}{total} expected from {wording.short_day(base.first)} to {wording.day(base.last)[4:]} "
            "if all goes as planned."
        )
    said = described(base, scenario.changes)
    said = said[:1].upper() + said[1:]
    if scenario.first is None:
        return f"{said}: nothing changes, because that is what is expected already."
    change = f"{wording.units(abs(scenario.units))} {'more' if scenario.units >= 0 else 'less'}"
    if wording.short(abs(scenario.units)) == "0":
        change = "about as many sold"
    digits = 0 if abs(scenario.share) >= 0.02 else 1
    shares = [wording.percent(v, digits, sign=True) for v in (scenario.share, scenario.share_low, scenario.share_high)]
    words = f"{said}: {change} ({shares[0]}, 80{wording.NARROW}% range {shares[1]} to {shares[2]})"
    if np.isfinite(scenario.money):
        earned = wording.money(abs(scenario.money))
        words += f" and {earned} {'more' if scenario.money >= 0 else 'less'} in sales"
    return words + "."


def described(base: Baseline, changes: Changes) -> str:
    """What is changed: 'with prices 15 % lower from 5 Oct to 25 Oct'."""
    parts = [f"{_level(base, change)} {_when(base, change.first, change.last)}" for change in changes.levels]
    for on in (True, False):
        spans = [(p.first, p.last) for p in changes.promotions if p.on == on]
        if spans:
            listed = [_when(base, *span) for span in _joined(spans)]
            words = listed[0] if len(listed) == 1 else ", ".join(listed[:-1]) + " and " + listed[-1]
            parts.append(f"{'a promotion' if on else 'no promotion'} {words}")
    return "with " + (parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]) if parts else ""


def _level(base: Baseline, change: Change) -> str:
    value = change.value
    if change.name == PRICE:
        return f"prices {wording.percent(abs(value), _digits(value))} {'lower' if value < 0 else 'higher'}"
    word = label(change.name).lower()
    if change.relative:
        return f"{word} {wording.percent(abs(value), _digits(value))} {'less' if value < 0 else 'more'} than expected"
    if change.name.startswith(WEATHER):
        return f"{change.name.removeprefix(WEATHER)} weather on {wording.percent(value)} of the days"
    return f"{word} at {wording.short(value)}"


def _digits(share: float) -> int:
    return 0 if abs(round(100 * share) - 100 * share) < 1e-6 else 1


def _when(base: Baseline, first: date | None, last: date | None) -> str:
    first, last = max(first or base.first, base.first), min(last or base.last, base.last)
    return (
        f"from {wording.short_day(first)} to {wording.short_day(last)}"
        if first < last
        else f"on {wording.short_day(first)}"
    )


def _joined(spans: Sequence[tuple[date, date]]) -> list[tuple[date, date]]:
    """Spans of days in order, neighbours made one."""
    result: list[tuple[date, date]] = []
    for first, last in sorted(spans):
        if result and first <= result[-1][1] + timedelta(days=1):
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


def stock_words(scenario: Scenario, lead_days: float, today: date) -> str:
    """What the change asks of stock: what must be there when, and by when to order it with that lead time."""
    if scenario.first is None or abs(scenario.units) < 0.5:
        return ""
    many = wording.units(abs(scenario.units))
    lead = wording.count(round(lead_days), "day")
    if scenario.units < 0:
        return f"{many} less to have in stock from {wording.short_day(scenario.first)} on: order that much less."
    by = scenario.first - timedelta(days=round(lead_days))
    start = f"{many} more to have in stock from {wording.short_day(scenario.first)} on"
    if by < today:
        arrives = wording.short_day(today + timedelta(days=round(lead_days)))
        return f"{start}, but with a lead time of {lead} an order of today arrives on {arrives}."
    return f"{start}: with a lead time of {lead}, order by {wording.short_day(by)}."
