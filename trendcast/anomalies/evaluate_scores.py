"""What the days that were lived through again say of a detector: what it found, when, as what, and what it made up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from trendcast.anomalies.evaluate import FAULTS, RIGHT, SINGLE, WITHIN, Case, Lived
from trendcast.anomalies.incidents import GAP, Episode, Key
from trendcast.anomalies.scene import Scene

SIGMAS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, np.inf)
BOOTSTRAP = 400
WEEK = 7.0
AFTER = 28  # days in which the forecasts might have learnt from a feed's fault
Flags = np.ndarray  # int8 (S, T): the direction of what is found of a series on a day, 0 where nothing


@dataclass(frozen=True)
class Outcome:
    """What became of one injection into a series: days until its first entry in the same direction (None: never), and
    the class its log ends with."""

    case: Case
    row: int
    delay: int | None
    cls: str = ""

    @property
    def found(self) -> bool:
        """In time: a drop or spike the same day, what lasts within five days after its first."""
        return self.delay is not None and self.delay <= self.patience

    @property
    def patience(self) -> int:
        return 0 if self.case.kind in ("drop", "spike") else WITHIN


def outcomes(flags: Flags, cases: Sequence[Case]) -> list[Outcome]:
    """Of each injection into one series, from what was found (S, T)."""
    told = []
    for case in cases:
        if len(case.rows) > 1 or case.region:
            continue
        row = case.rows[0]
        span = flags[row, case.start : case.start + max(case.days, 1)]
        hits = np.flatnonzero(span == case.direction)
        told.append(Outcome(case, row, int(hits[0]) if len(hits) else None))
    return told


def flags(lived: Lived, scene: Scene) -> Flags:
    """The entries of bottom series, whether alone or as a part of something wider."""
    row_of = {key: row for row, key in enumerate(scene.keys)}
    result = np.zeros(scene.units.shape, np.int8)
    for entry in lived.entries:
        row = row_of.get(entry.key)
        if row is not None and entry.kind != "DATA_QUALITY":
            result[row, entry.day] = entry.direction
    return result


def named(found: list[Outcome], lived: Lived, scene: Scene) -> list[Outcome]:
    """With the class that the log has of each in the end."""
    by_key = _by_key(lived.episodes)
    result = []
    for one in found:
        cls = ""
        if one.delay is not None:
            days = {str(scene.first_day + one.case.start + day) for day in range(one.case.days)}
            near = [
                episode
                for episode in by_key.get(scene.keys[one.row], [])
                if episode.direction == one.case.direction and days & set(episode.days)
            ]
            cls = near[-1].cls if near else ""
        result.append(Outcome(one.case, one.row, one.delay, cls))
    return result


def _by_key(episodes: Sequence[Episode]) -> dict[Key, list[Episode]]:
    found: dict[Key, list[Episode]] = {}
    for episode in episodes:
        found.setdefault(episode.key, []).append(episode)
    return found


# --- Recall -----------------------------------------------------------------------------------------------------------


def recall(found: Sequence[Outcome], rows: np.ndarray, rng: np.random.Generator) -> list[dict[str, Any]]:
    """By kind and size over the series ``rows`` (bool (S,)): number, share found in time with its 95 % interval by
    resampling series, mean delay and 95th of a hundred of what was found while it lasted, share named rightly."""
    table = []
    for kind, sizes in SINGLE.items():
        for size in sizes:
            mine = [one for one in found if rows[one.row] and (one.case.kind, one.case.size) == (kind, size)]
            if not mine:
                continue
            delays = np.array([one.delay for one in mine if one.delay is not None], float)
            ever = [one for one in mine if one.delay is not None]
            low, high = interval(mine, rng)
            table.append(
                {
                    "kind": kind,
                    "size": size,
                    "number": len(mine),
                    "recall": float(np.mean([one.found for one in mine])),
                    "low": low,
                    "high": high,
                    "ever": len(ever) / len(mine),
                    "mean_delay": float(delays.mean()) if len(delays) else None,
                    "delay95": float(np.quantile(delays, 0.95)) if len(delays) else None,
                    "right_class": float(np.mean([one.cls in RIGHT[kind] for one in ever])) if ever else None,
                }
            )
    return table


def interval(mine: Sequence[Outcome], rng: np.random.Generator) -> tuple[float, float]:
    """The 95 % interval of the share found, from drawing series anew."""
    series = np.array([one.row for one in mine])
    hit = np.array([one.found for one in mine], float)
    _, code = np.unique(series, return_inverse=True)
    count, hits = np.bincount(code).astype(float), np.bincount(code, hit)
    drawn = rng.integers(len(count), size=(BOOTSTRAP, len(count)))
    share = hits[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    return float(np.quantile(share, 0.025)), float(np.quantile(share, 0.975))


def power(found: Sequence[Outcome], spread: np.ndarray, rows: np.ndarray) -> list[dict[str, Any]]:
    """Drops and spikes by their size in the series' own deviations: share found the same day."""
    single = [one for one in found if one.case.kind in ("drop", "spike") and rows[one.row]]
    size = np.array([abs(np.log1p(one.case.size)) / spread[one.row] for one in single])
    hit = np.array([one.found for one in single], bool)
    table = []
    for low, high in pairwise(SIGMAS):
        mine = (size >= low) & (size < high)
        if mine.any():
            table.append(
                {"from": low, "to": None if np.isinf(high) else high, "number": int(mine.sum()),
                 "recall": float(hit[mine].mean())}
            )  # fmt: skip
    return table


# --- False alarms -----------------------------------------------------------------------------------------------------


def weekly(count: float, days: int, series: int, per: int) -> float:
    """A count of so many days and series as one of a week and ``per`` series."""
    return count / days * WEEK / max(series, 1) * per


def episodes_of(found: Flags, rows: np.ndarray) -> int:
    """Log rows of flagged series-days: of one direction with at most three days between, one row."""
    total = 0
    for direction in (-1, 1):
        row, day = np.nonzero((found == direction) & rows[:, None])
        total += int(((np.diff(row, prepend=-1) != 0) | (np.diff(day, prepend=-99) > GAP)).sum())
    return total


def false_alarms(lived: Lived, scene: Scene, first: int, calm: np.ndarray, budget: int = 15) -> dict[str, Any]:
    """Of a replay into which nothing was injected: entries, rows of the log and HIGH mails a week; real events are
    among them. An entry is a row that stands for itself: of a wider movement one, not each series in it.

    More than ``budget`` new incidents of a day are one mail about all of them, as announced."""
    days = scene.days - first
    row_of = {key: row for row, key in enumerate(scene.keys)}
    sales = [one for one in lived.episodes if one.family == "sales"]
    feeds = [one for one in lived.episodes if one.family == "feed"]
    calm_rows = [one for one in sales if one.key in row_of and calm[row_of[one.key]]]
    heads = {one.group: one for one in sales if one.lead}
    calm_heads = [one for one in calm_rows if one.lead]
    wider = [one for one in heads.values() if one.key not in row_of]
    high = [one for one in heads.values() if one.impact == "HIGH"]
    calm_high = [one for one in high if one.key in row_of and calm[row_of[one.key]]]
    whole, quiet = len(scene.units), int(calm.sum())

    def rate(count: int, per: int, series: int = whole) -> float:
        return weekly(count, days, series, per)

    return {
        "days": days,
        "entries": len(heads),
        "rows": len(sales),
        "feed_incidents": len({one.group for one in feeds}),
        "entries_per_week_per_1000": rate(len(heads), 1000),
        "entries_per_week_per_2500": rate(len(heads), 2500),
        "rows_per_week_per_1000": rate(len(sales), 1000),
        "rows_per_week_per_2500": rate(len(sales), 2500),
        "high_incidents": len(high),
        "high_mails": _mails(high, budget),
        "high_incidents_per_week_per_2500": rate(len(high), 2500),
        "calm_high_incidents_per_week_per_2500": rate(len(calm_high), 2500, quiet),
        "high_mails_per_week_per_2500": rate(_mails(high, budget), 2500),
        "calm_entries_per_week_per_1000": rate(len(calm_heads), 1000, quiet) + rate(len(wider), 1000),
        "calm_entries_per_week_per_2500": rate(len(calm_heads), 2500, quiet) + rate(len(wider), 2500),
        "calm_rows_per_week_per_1000": rate(len(calm_rows), 1000, quiet),
        "calm_rows_per_week_per_2500": rate(len(calm_rows), 2500, quiet),
        "calm_high_mails_per_week_per_2500": rate(_mails(calm_high, budget), 2500, quiet),
        "by_class": _count([one.cls for one in sales]),
        "by_impact": _count([one.impact for one in sales]),
    }


def _mails(high: Sequence[Episode], budget: int) -> int:
    each = _count([min(one.days) for one in high]).values()
    return sum(1 if count > budget else count for count in each)


def _count(names: Sequence[str]) -> dict[str, int]:
    return {name: names.count(name) for name in sorted(set(names))}


# --- Outages and feeds ------------------------------------------------------------------------------------------------


def wide(lived: Lived, scene: Scene, cases: Sequence[Case], usual: Lived) -> list[dict[str, Any]]:
    """Of each outage and feed fault: ``alerts``, new incidents told at once as HIGH; ``told`` by the right class;
    ``over_next_day``, those of the alerts that nothing later belongs to: one mail says that they are over; ``demand``,
    entries of demand in its region on its day; ``after``, HIGH alerts about the whole region in the four weeks after.
    What the replay without injections had within three days is another matter, which a region more or less makes begin
    a little earlier or later."""
    known = _by_key(usual.episodes)
    by_day: dict[str, list[Episode]] = {}
    for episode in lived.episodes:
        for day in episode.days:
            by_day.setdefault(day, []).append(episode)
    heads = {one.group: one for one in lived.episodes if one.lead}
    result = []
    for case in cases:
        if not case.region:
            continue
        day = str(scene.first_day + case.start)
        near = {str(scene.first_day + case.start + apart) for apart in range(-GAP, GAP + 1)}
        mine = [
            one
            for one in by_day.get(day, [])
            if one.key[2] in ("", case.region) and not any(near & set(was.days) for was in known.get(one.key, []))
        ]
        here = [one for one in mine if one.key[2] == case.region or one.lead]
        groups = {one.group for one in here if one.group is not None}
        alerts = [heads[group] for group in groups if group in heads and heads[group].impact == "HIGH"]
        lead = next((one for one in here if one.key[2] == case.region and one.key[0] in ("region", "total")), None)
        lead = lead or next((one for one in here if one.key[0] == "total"), None)

        def about(episode: Episode, case: Case = case) -> bool:
            rows = [entry.rows for entry in lived.at.get((episode.key, case.start), [])]
            return bool(rows) and bool(np.isin(np.concatenate(rows), case.rows).any())

        later = {str(scene.first_day + case.start + apart) for apart in range(1, AFTER + 1)}
        others = {str(scene.first_day + other.start) for other in cases if other.region and other is not case}
        after = [
            one
            for one in heads.values()
            if one.key == ("region", "", case.region, "")
            and one.family == "sales"
            and one.impact == "HIGH"
            and min(one.days) in later - others
            and not any(set(one.days) & set(was.days) for was in known.get(one.key, []))
        ]
        # Over when nothing of it is found any more: one mail says so.
        ends = [one for one in alerts if one.last <= scene.dates[case.start]]
        result.append(
            {
                "kind": case.kind,
                "size": case.size,
                "alerts": len(alerts),
                "over_next_day": len(ends),
                "told": lead is not None and lead.cls in RIGHT[case.kind],
                "demand": sum(one.family == "sales" and about(one) for one in here) if case.kind in FAULTS else 0,
                "after": len(after),
            }
        )
    return result


def summed(each: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """``wide`` by kind and size."""
    table = []
    for kind, size in dict.fromkeys((one["kind"], one["size"]) for one in each):
        mine = [one for one in each if (one["kind"], one["size"]) == (kind, size)]
        table.append(
            {
                "kind": kind,
                "size": size,
                "number": len(mine),
                "told": float(np.mean([one["told"] for one in mine])),
                "one_alert": float(np.mean([one["alerts"] == 1 for one in mine])),
                "alerts": float(np.mean([one["alerts"] for one in mine])),
                "one_recovery": float(np.mean([one["alerts"] == one["over_next_day"] == 1 for one in mine])),
                "demand": sum(one["demand"] for one in mine),
                "after": sum(one["after"] for one in mine),
            }
        )
    return sorted(table, key=lambda one: (one["kind"] in FAULTS, one["kind"], one["size"]))


# --- Calibration ------------------------------------------------------------------------------------------------------


def discovery(lived: Lived, first: int, truth: np.ndarray | None = None, q: float = 0.05) -> dict[str, Any]:
    """The false discovery rate at ``q``: over the days, the mean share of false ones among the series found; 0 on days
    on which none is. ``truth`` (S, T): where something was injected."""
    found = np.nan_to_num(lived.q[:, first:], nan=1.0) <= q
    false = found if truth is None else found & ~truth[:, first:]
    count = found.sum(axis=0)
    share = np.divide(false.sum(axis=0), count, out=np.zeros(count.shape), where=count > 0)
    return {"fdr": float(share.mean()), "days": len(count), "tests": int(np.isfinite(lived.p[:, first:]).sum())}


def uniformity(p: np.ndarray) -> dict[str, Any]:
    """Kolmogorov-Smirnov: the largest distance between the distribution of p-values and the uniform one, above it (too
    many small ones) and below; and the share at most .001."""
    p = np.sort(p[np.isfinite(p)])
    n = len(p)
    if not n:
        return {"tests": 0, "above": None, "below": None, "at_001": None}
    rank = np.arange(1, n + 1) / n
    return {
        "tests": n,
        "above": float(np.max(rank - p)),
        "below": float(np.max(p - rank + 1 / n)),
        "at_001": float((p <= 0.001).mean()),
    }


# --- Other rules ------------------------------------------------------------------------------------------------------


def at_rate(score: Callable[[float], Flags], rows: np.ndarray, entries: int, low: float, high: float) -> float:
    """The threshold at which a rule makes as many log rows as ``entries``, by halving; more where it is lower."""
    for _ in range(24):
        middle = (low + high) / 2
        if episodes_of(score(middle), rows) > entries:
            low = middle
        else:
            high = middle
    return high
