"""The finding above a chart: what the figures say, in one sentence; the same text on pages, in REST and in mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from trendcast import wording
from trendcast.anomalies import explain
from trendcast.services import forecast

if TYPE_CHECKING:
    from trendcast.services.forecast import RunInfo, Selection
    from trendcast.store.engine import Database

WEEKS = 12
NOTABLE = 0.02  # a change smaller than this is called "about the same"


def outlook(
    name: str, weekly: pd.DataFrame, history: pd.DataFrame, accuracy: dict[str, object], unit: str = "units"
) -> str:
    """One sentence on the next twelve weeks of ``name``: how much, against last year or the weeks before, its strongest
    week, and how far forecasts like it were off.

    ``weekly``: week, mean (units or money, as ``unit`` says); ``history``: date_id and units in the same unit.
    """
    ahead = weekly.head(WEEKS)
    total = float(ahead["mean"].sum())
    if not total > 0:
        return f"{name} is not expected to sell anything in the next {len(ahead)} weeks."
    by_day = history.set_index("date_id")["units"]
    start, days = ahead["week"].iloc[0], 7 * len(ahead)
    year_before = _sum(by_day, start - pd.Timedelta(364, "D"), days)
    before = _sum(by_day, by_day.index.max() - pd.Timedelta(days - 1, "D"), days)
    parts = [f"{name}: {amount(total, unit)} expected in the {len(ahead)} weeks from {start:%-d %b %Y}"]
    reference, words = (
        (year_before, "than the same weeks last year") if year_before else (before, "than the weeks before")
    )
    if reference:
        parts.append(compared(total / reference - 1, words))
    best = ahead.loc[ahead["mean"].idxmax()]
    if best["mean"] > 1.1 * ahead["mean"].mean():
        parts.append(f"the strongest week begins {best['week']:%-d %b}")
    wape = accuracy.get("wape", {})
    error = wape.get(forecast.COMBINATION) if isinstance(wape, dict) else None
    if error is not None:
        parts.append(f"weekly forecasts like this were {wording.percent(error)} off over the past year")
    return ", ".join(parts) + "."


def _sum(by_day: pd.Series, start: pd.Timestamp, days: int) -> float | None:
    """The sum of so many days, or None when they are not all within the history."""
    if by_day.empty or start < by_day.index[0] or start + pd.Timedelta(days - 1, "D") > by_day.index[-1]:
        return None
    total = float(by_day.loc[start : start + pd.Timedelta(days - 1, "D")].sum())
    return total if total > 0 else None


# What to do about the part that moves the number most.
TO_WATCH = {
    "promotions": "keep the promotion plan up to date, the forecast follows it",
    "holidays": "check that the calendar of events is complete",
    "yearly": "plan supply with the season",
    "weekly": "plan staff and deliveries by the day of the week",
}


def made_of(sums: Mapping[str, float], labels: Mapping[str, str], unit: str = "units") -> str:
    """What raises and what lowers the next twelve weeks most beside the trend, and what to watch.

    ``sums``: part of the number -> its sum over these weeks (trend included), ``labels``: part -> its name.
    """
    effects = {name: value for name, value in sums.items() if name not in ("trend", "rest")}
    total = sum(sums.values())
    notable = {name: value for name, value in effects.items() if total > 0 and abs(value) >= NOTABLE * total / 2}
    if not notable:
        return f"The next {WEEKS} weeks rest on the level alone: watch whether it holds."
    said = []
    for words, best in (
        ("lift", max(notable, key=notable.__getitem__)),
        ("drag", min(notable, key=notable.__getitem__)),
    ):
        value = notable[best]
        if (value > 0) == (words == "lift"):
            sign = "+" if value > 0 else ""
            said.append(f"the biggest {words} is {labels.get(best, best).lower()} ({sign}{amount(value, unit)})")
    todo = TO_WATCH.get(max(notable, key=lambda name: abs(notable[name])), "watch whether it holds")
    rest = sums.get("rest", 0.0)
    if total > 0 and abs(rest) >= NOTABLE * total:
        said.append(f"{'+' if rest > 0 else ''}{amount(rest, unit)} come from the blend of models")
    return f"Over the next {WEEKS} weeks {', '.join(said)}: {todo}."


def compared(change: float, words: str) -> str:
    """'4 % more than last year'; ``words`` begin with 'than'."""
    if abs(change) < NOTABLE:
        return "about the same " + words.replace("than", "as", 1)
    return f"{wording.percent(abs(change))} {'more' if change > 0 else 'less'} {words}"


def amount(value: float, unit: str = "units") -> str:
    """A figure short enough to say: 1.2 k units; ``unit`` is 'units' or anything else for money."""
    return wording.units(value) if unit == "units" else wording.money(value)


def series_name(rows: pd.DataFrame) -> str:
    """What a selection is called in a sentence."""
    if len(rows) != 1:
        return f"The {len(rows)} chosen series together"
    row = rows.iloc[0]
    return explain.node_name((row["level"], row["product_category"], row["region"], row["store"]))


def finding(db: Database, run: RunInfo, selection: Selection, unit: str = "units") -> str:
    """The sentence for a selection of a run, in ``units`` or ``money``."""
    rows = forecast.resolve(forecast.series_index(db, run.id), selection)
    series_ids = [int(number) for number in rows["series_id"]]
    weekly = forecast.forecast_weekly(db, run.id, series_ids)
    history = forecast.history_daily(db, run, series_ids)
    if unit == "money":
        if weekly["money"].isna().all():
            return f"{series_name(rows)}: no price is known, so nothing can be said in money."
        weekly = weekly.assign(mean=weekly["money"])
        history = history.assign(units=history["revenue"])
    word = "" if unit == "money" else "units"
    return outlook(series_name(rows), weekly, history, forecast.series_accuracy(db, run.id, series_ids), word)
