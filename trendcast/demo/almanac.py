"""The retailer's calendar: fixed and moving holidays, regional events, and what each does to demand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from dateutil.easter import easter as easter_sunday


@dataclass(frozen=True)
class Effect:
    """Of an event on the logarithm of demand: on its day, and on the days before it, rising towards it."""

    day: float
    before: float = 0.0
    days: int = 0  # that rise before it
    after: float = 0.0  # on the two days after it


EFFECTS = {
    "New Year's Day": Effect(-0.6),
    "Good Friday": Effect(0.12),
    "Easter Sunday": Effect(-0.35, 0.22, 7, -0.08),
    "Mother's Day": Effect(0.15, 0.18, 5),
    "Independence Day": Effect(-0.2, 0.12, 3),
    "Labor Day": Effect(-0.1, 0.08, 2),
    "Thanksgiving": Effect(-0.4, 0.10, 3),
    "Black Friday": Effect(0.55, 0.0, 0, 0.2),
    "Cyber Monday": Effect(0.2),
    "Christmas Eve": Effect(0.1),
    "Christmas Day": Effect(0.0, 0.0, 0, -0.15),
    "City Festival": Effect(0.25, 0.08, 2),  # in one region only
}
CLOSED = "Christmas Day"
REGIONAL = "City Festival"


def event_days(first_year: int, last_year: int) -> list[tuple[date, str]]:
    """All events of these years by day."""
    found: list[tuple[date, str]] = []
    for year in range(first_year, last_year + 1):
        easter = easter_sunday(year)
        thanksgiving = _weekday(year, 11, 3, 4)
        found += [
            (date(year, 1, 1), "New Year's Day"),
            (easter - timedelta(days=2), "Good Friday"),
            (easter, "Easter Sunday"),
            (_weekday(year, 5, 6, 2), "Mother's Day"),
            (_weekday(year, 6, 5, 3), REGIONAL),
            (date(year, 7, 4), "Independence Day"),
            (_weekday(year, 9, 0, 1), "Labor Day"),
            (thanksgiving, "Thanksgiving"),
            (thanksgiving + timedelta(days=1), "Black Friday"),
            (thanksgiving + timedelta(days=4), "Cyber Monday"),
            (date(year, 12, 24), "Christmas Eve"),
            (date(year, 12, 25), CLOSED),
        ]
    return found


def _weekday(year: int, month: int, weekday: int, which: int) -> date:
    """The ``which``-th such weekday (Monday 0) of the month."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (which - 1))


def listed(days: np.ndarray, festival: str) -> pd.DataFrame:
    """The events within ``days`` (datetime64[D]): date_id, region ('' everywhere), event. ``festival``: the region of
    the regional one."""
    first, last = days[0].astype(date), days[-1].astype(date)
    rows = [
        (day, festival if name == REGIONAL else "", name)
        for day, name in event_days(first.year, last.year)
        if first <= day <= last
    ]
    frame = pd.DataFrame(rows, columns=["date_id", "region", "event"])
    frame["date_id"] = pd.to_datetime(frame["date_id"]).astype("datetime64[us]")
    return frame


def shapes(days: np.ndarray) -> dict[str, np.ndarray]:
    """Per event its effect on the logarithm of demand, array (days,), for a category it moves as it moves most."""
    start, years = days[0], (days[0].astype(date).year, days[-1].astype(date).year + 1)
    found = {name: np.zeros(len(days), dtype="float32") for name in EFFECTS}
    for day, name in event_days(*years):
        effect, at = EFFECTS[name], int((np.datetime64(day, "D") - start).astype(int))
        for away in range(-effect.days, 3):
            if 0 <= at + away < len(days):
                size = effect.day if away == 0 else effect.after
                if away < 0:
                    size = effect.before * (1 + away / (effect.days + 1))
                found[name][at + away] += size
    return found


def marks(days: np.ndarray, name: str) -> np.ndarray:
    """bool (days,): the days of the event."""
    years = (days[0].astype(date).year, days[-1].astype(date).year)
    return np.isin(days, np.array([day for day, event in event_days(*years) if event == name], "datetime64[D]"))


def days_to(days: np.ndarray, month: int, day: int) -> np.ndarray:
    """Days until that day of the same year; negative after it."""
    target = (days.astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)).astype("datetime64[D]") + (day - 1)
    return (target - days).astype("int64")
