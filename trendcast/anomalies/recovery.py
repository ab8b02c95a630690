"""Whether what was off is usual again, and whether a change has come to stay.

Only days that are known say so: missing data end nothing. A lasting change is compared with the level before it: what
is expected has followed it since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product

import numpy as np

from trendcast.anomalies.entries import Entry, Found
from trendcast.anomalies.incidents import Episode, Key
from trendcast.anomalies.scene import Scene
from trendcast.anomalies.trend import LASTING

DAYS = 2  # inside the band, after which it is over
LOOK = 7  # days in which those lie: closed ones do not count
KNOWN = 0.95  # of what is expected of a node, that must have come for its day to say anything
STAYED, LEANING = 5, 1.5  # days to one side and deviations off, after which a level is one to accept
WEEKS = 8

Under = Callable[[Key], np.ndarray]


def back(episodes: Sequence[Episode], scene: Scene, found: Found, under: Under) -> list[Episode]:
    """The entries that incidents are about whose node was inside its band on the last two days that tell. One that
    somebody has seen and that is lasting is theirs to end."""
    busy = _busy(episodes)
    over = []
    for one in episodes:
        if not (one.stored and one.lead and one.open and one.family == "sales" and one.group is not None):
            continue
        if one.status == "ACKNOWLEDGED" and one.cls in LASTING:
            continue
        rows, last = under(one.key), scene.place(str(busy[one.group]))
        days = _telling(scene, found, rows, last)
        if len(days) == DAYS and all(_inside(scene, found, rows, one, day) for day in days):
            over.append(one)
    return over


def without_returns(entries: Sequence[Entry], episodes: Sequence[Episode], scene: Scene, under: Under) -> list[Entry]:
    """Entries without those that only say that a lasting change is over: what they are of is where it was before, the
    node of the change and whatever is part of it."""
    lasting: dict[tuple[str, ...], list[Episode]] = {}
    for one in episodes:
        if one.cls in LASTING and one.family == "sales" and one.disposition is None and one.lead:
            lasting.setdefault(one.key[1:], []).append(one)
    kept = []
    for entry in entries:
        nodes = set(product(*(("", name) for name in entry.key[1:])))  # it is of, or part of
        ends = entry.kind == "DEMAND" and any(
            entry.direction == -one.direction
            and one.last > scene.first_day + entry.day - 7 * WEEKS
            and _as_before(entry, one, under(entry.key), scene)
            for node in nodes
            for one in lasting.get(node, ())
        )
        if not ends:
            kept.append(entry)
    return kept


def _as_before(entry: Entry, ending: Episode, rows: np.ndarray, scene: Scene) -> bool:
    """Whether it sells what it sold before the change, as closely as it, or the change's node, usually is."""
    low, high = _band(ending)
    now = entry.now
    if entry.key != ending.key and now.expected > 0 and np.isfinite(now.lo) and np.isfinite(now.hi):
        low, high = min(low, max(now.lo / now.expected, 0.01)), max(high, now.hi / now.expected)
    gap = _gap(scene, rows, entry.day, scene.place(str(ending.start)))
    return gap is not None and bool(np.log(low) <= gap <= np.log(high))


def mark_returned(episodes: Sequence[Episode], scene: Scene, found: Found, under: Under) -> None:
    """Notes with each lasting change since when its node is inside its band again, ``facts["back"]`` (an ISO day): its
    level is none to accept then. None once it has left its band again."""
    busy = _busy(episodes)
    for one in episodes:
        if not _lasting(one):
            continue
        since = _back_since(scene, found, under(one.key), one, scene.place(str(busy[one.group])))
        if since != one.facts.get("back"):
            one.facts = {**one.facts, "back": since}
            one.touched = True


def _back_since(scene: Scene, found: Found, rows: np.ndarray, one: Episode, last: int) -> str | None:
    """The first of the days after ``last``, at least two, on which it was inside its band up to now."""
    inside = []
    for day in range(scene.days - 1, max(last, -1), -1):
        if _known(scene, found, rows, day) < KNOWN:
            continue
        if not _inside(scene, found, rows, one, day):
            break
        inside.append(day)
    return str(scene.dates[inside[-1]]) if len(inside) >= DAYS else None


def _lasting(one: Episode) -> bool:
    return one.open and one.lead and one.family == "sales" and one.cls in LASTING


def _busy(episodes: Iterable[Episode]) -> dict[tuple[str, str] | None, np.datetime64]:
    """The newest notable day of each incident."""
    busy: dict[tuple[str, str] | None, np.datetime64] = {}
    for one in episodes:
        busy[one.group] = max(busy.get(one.group, one.last), one.last)
    return busy


def stayed(episodes: Iterable[Episode], scene: Scene, found: Found, under: Under) -> list[Episode]:
    """Lasting changes that have held for five days to the same side, and were not called so before: their level is one
    to accept."""
    result = []
    for one in episodes:
        if not _lasting(one) or one.facts.get("lasted"):
            continue
        rows, start = under(one.key), scene.place(str(one.start))
        low, high = _band(one)
        edge = LEANING / 1.96 * np.log(high if one.direction > 0 else low)
        days = [day for day in range(max(start, 0), scene.days) if _known(scene, found, rows, day) >= KNOWN]
        gaps = [_gap(scene, rows, day, start) for day in days[-STAYED:]]
        if len(gaps) == STAYED and all(gap is not None and gap * one.direction > abs(edge) for gap in gaps):
            one.facts["lasted"] = STAYED
            one.touched = True
            result.append(one)
    return result


def _telling(scene: Scene, found: Found, rows: np.ndarray, last: int) -> list[int]:
    """The newest two days after ``last`` of which nearly all is known."""
    days = range(scene.days - 1, max(last, scene.days - 1 - LOOK, -1), -1)
    return [day for day in days if _known(scene, found, rows, day) >= KNOWN][:DAYS]


def _known(scene: Scene, found: Found, rows: np.ndarray, day: int) -> float:
    mean = np.nan_to_num(found.expected.units[rows, day])
    whole = float(mean.sum())
    return float(mean[np.isfinite(found.rest.raw[rows, day])].sum()) / whole if whole > 0 else 0.0


def _band(one: Episode) -> tuple[float, float]:
    """The band of its newest day, as shares of what was expected."""
    day = one.days[max(one.days)]
    expected = day["expected"] or 0.0
    if expected <= 0 or day["lo"] is None or day["hi"] is None:
        return 0.8, 1.25
    return float(np.clip(day["lo"] / expected, 0.01, 0.99)), max(day["hi"] / expected, 1.01)


def _inside(scene: Scene, found: Found, rows: np.ndarray, one: Episode, day: int) -> bool:
    low, high = _band(one)
    gap = _gap(scene, rows, day, scene.place(str(one.start)))
    as_before = gap is not None and bool(np.log(low) <= gap <= np.log(high))
    if one.cls in LASTING:
        return as_before
    known = rows[np.isfinite(found.rest.raw[rows, day])]
    actual, mean = float(scene.units[known, day].sum()), float(found.expected.units[known, day].sum())
    # After some days what is expected has followed, and says little of whether it is over.
    return low * mean <= actual <= high * mean and (as_before or len(one.days) < STAYED - 2)


def _gap(scene: Scene, rows: np.ndarray, day: int, start: int) -> float | None:
    """How far a node is from the like weekdays before ``start``, in logarithms; None where they are not known."""
    before = [one for one in range(day - 7, -1, -7) if one < start][:WEEKS]
    known = rows[np.isfinite(scene.units[rows, day])]
    if len(before) < 3 or not len(known):
        return None
    sums = np.nansum(scene.units[np.ix_(known, before)], axis=0)
    usual = float(np.median(sums))
    return float(np.log1p(scene.units[known, day].sum()) - np.log1p(usual)) if usual > 0 else None
