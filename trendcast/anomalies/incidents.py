"""Episodes and incidents: the same thing on several days is one entry, and one outage is one incident with members."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trendcast.anomalies import promotions
from trendcast.anomalies.entries import Entry
from trendcast.anomalies.trend import LASTING

GAP = 3  # days without a finding that an episode may have: a weekend, a holiday
RANK = {"HIGH": 0, "MEDIUM": 1, "LOW": 2}
OPEN = ("NEW", "ACKNOWLEDGED")
OF_DAYS = (*LASTING, promotions.CLASS, "STOCK_OUT", "ZERO_RUN")  # classes of what is of several days

Key = tuple[str, str, str, str]


@dataclass
class Episode:
    """One entry of the log: a node, a direction, and the days it was notable (ISO date -> figures)."""

    key: Key
    family: str
    direction: int
    start: np.datetime64
    kind: str = "DEMAND"
    cls: str = ""
    cause: str = ""
    days: dict[str, dict[str, Any]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    lead: bool = True
    group: tuple[str, str] | None = None  # (group key, episode start) of the incident it belongs to
    stored: bool = False
    touched: bool = False
    found: set[str] = field(default_factory=set)  # days found in this pass
    status: str = "NEW"
    disposition: str | None = None
    over: bool = False  # the data no longer show it

    @property
    def open(self) -> bool:
        return self.status in OPEN

    @property
    def last(self) -> np.datetime64:
        return np.datetime64(max(self.days), "D") if self.days else self.start

    @property
    def impact(self) -> str:
        return min((day["impact"] for day in self.days.values()), key=RANK.__getitem__)

    @property
    def worst(self) -> dict[str, Any]:
        """The figures of the day the entry is about: the most serious, then the furthest off."""
        return min(self.days.values(), key=lambda day: (RANK[day["impact"]], -abs(day["z"] or 0), day["day"]))

    def total(self, name: str) -> float | None:
        known = [day[name] for day in self.days.values() if day[name] is not None]
        return float(sum(known)) if known else None

    @property
    def fingerprint(self) -> bytes:
        return fingerprint(self.key, self.direction, self.family, str(self.start))

    @property
    def group_key(self) -> str:
        return group_key(self.key, self.direction, self.family)


def fingerprint(key: Key, direction: int, family: str, start: str) -> bytes:
    """What makes an entry the same one when it is found again."""
    return hashlib.sha256(json.dumps([*key, direction, family, start], ensure_ascii=False).encode()).digest()


def group_key(key: Key, direction: int, family: str) -> str:
    """Node, direction and family of an incident; names may hold any character, so it is JSON."""
    return json.dumps([*key, direction, family], ensure_ascii=False)


def family_of(kind: str) -> str:
    """Demand and supply are one family: whether it was the stock is often known only later."""
    return "feed" if kind == "DATA_QUALITY" else "sales"


def figures(entry: Entry, first_day: np.datetime64) -> list[dict[str, Any]]:
    """The entry's days as they are kept."""

    def number(value: float, digits: int = 10) -> float | None:
        return float(f"{value:.{digits}g}") if np.isfinite(value) else None

    return [
        {
            "day": str(first_day + one.day),
            "actual": float(one.actual),
            "expected": number(one.expected, 8),
            "lo": number(one.lo, 8),
            "hi": number(one.hi, 8),
            "z": number(one.z, 6),
            "p": number(one.p, 6),
            "q": number(one.q, 6),
            "loss": number(one.loss, 8),
            "loss_units": number(one.loss_units, 8),
            "impact": entry.impact,
            "score": number(entry.score, 6),
            "class": entry.cls,
            # Only where it says more: what all of the node sold, and that it is of some of its series alone.
            **({"whole": number(one.whole)} if _more(one.whole, one.actual) else {}),
            **({"some": True} if entry.facts.get("some") else {}),
        }
        for one in entry.days
    ]


def _more(whole: float, actual: float) -> bool:
    return bool(np.isfinite(whole)) and not np.isclose(whole, actual, rtol=1e-9)


def gather(entries: Iterable[Entry], known: list[Episode], first_day: np.datetime64) -> list[Episode]:
    """Fold entries into the episodes known already and new ones; what changed is marked. ``entries`` in the order
    of days, leads before members; each day of an episode is replaced by what was found now. A closed episode is
    measured again, but never grows: what goes on after it is a new one, and somebody hears of it."""
    episodes = list(known)
    by_key: dict[tuple[Key, int, str], list[Episode]] = {}
    for episode in episodes:
        by_key.setdefault((episode.key, episode.direction, episode.family), []).append(episode)
    on_day: dict[tuple[Key, int, int], Episode] = {}
    for entry in entries:
        family = family_of(entry.kind)
        start, day = first_day + entry.start, first_day + entry.day
        same = by_key.setdefault((entry.key, entry.direction, family), [])
        own = [one for one in same if str(day) in one.days or one.start == day]
        fits = own or [one for one in same if one.open and one.start <= day and start <= one.last + GAP]
        # What a closed episode has told of a level shift is not told again by the one that follows it.
        told = {one for other in same if not other.open for one in other.days}
        if fits:
            episode = max(fits, key=lambda one: one.start)
        else:
            ended = [one.last for one in same if not one.open and start <= one.last and one.start <= day]
            start = min(max([start, *(one + 1 for one in ended)]), day)
            episode = Episode(entry.key, family, entry.direction, start, lead=entry.parent is None)
            same.append(episode)
            episodes.append(episode)
        if episode.over:  # what the data no longer showed, they show again
            episode.over, episode.status, episode.touched = False, "NEW", True
        newer = not episode.days or str(day) >= max(episode.days)
        for one in figures(entry, first_day):
            # "Worth so much since 15 Aug" is of the days since then, also where a sum had begun to grow months before.
            if one["day"] < str(episode.start) and entry.cls != promotions.CLASS:
                continue
            begun = one["day"] >= str(episode.start) if episode.open else False
            if told and one["day"] not in (*episode.days, str(day)) and (one["day"] in told or not begun):
                continue
            before = episode.days.get(one["day"])
            if before is None or one["day"] == str(day):
                episode.touched |= before != one
                episode.days[one["day"]] = one
            episode.found.add(one["day"])
        if _speaks(episode, entry, str(day), newer):
            lasted = {name: episode.facts[name] for name in ("lasted",) if name in episode.facts}
            episode.kind, episode.cause, episode.facts = entry.kind, entry.cause, {**entry.facts, **lasted}
            # A promotion without uplift looks like a change of level until it is told apart; one that was there is one.
            promotion = entry.cls == promotions.CLASS and start <= episode.start
            if episode.cls not in LASTING or promotion or entry.cls in ("STOCK_OUT", *LASTING):
                episode.cls = entry.cls
        if episode.group is None:
            parent = on_day.get((entry.parent, entry.day, entry.direction)) if entry.parent is not None else None
            episode.lead = parent is None
            owner = parent or episode
            episode.group = owner.group or (owner.group_key, str(owner.start))
        on_day[entry.key, entry.day, entry.direction] = episode
    return episodes


def _speaks(episode: Episode, entry: Entry, day: str, newer: bool) -> bool:
    """Whether what an entry is, and why, is told of its episode: the figures that are told are those of its worst day.
    What is of several days, and what a feed did, is as it is now; that it fades tells nothing where stock ran out."""
    fades = entry.cls == "TEMPORARY" and episode.kind != "SUPPLY"
    if newer and (episode.family == "feed" or entry.cls in OF_DAYS or fades):
        return True
    return str(episode.worst["day"]) == day and (newer or episode.cls not in OF_DAYS)


def corrected(episodes: Iterable[Episode], judged: set[str], actual: Mapping[tuple[Key, str], float]) -> list[Episode]:
    """Episodes that the data no longer show: days judged again and not found, whose figures have changed, are taken
    out. ``actual``: what is now known of (node, day); a day of a feed is gone as soon as it is not found."""
    gone = []
    for episode in episodes:
        if not episode.stored or episode.over:
            continue
        for day in [one for one in episode.days if one in judged and one not in episode.found]:
            now, then = actual.get((episode.key, day)), episode.days[day]["actual"]
            if episode.family == "feed" or (now is not None and abs(now - then) > 1e-9 * max(abs(then), 1)):
                if len(episode.days) == 1:
                    gone.append(episode)  # its last figures stay, to be read
                else:
                    del episode.days[day]
                episode.touched = True
    return gone


def counts(episodes: Iterable[Episode]) -> dict[tuple[str, str], int]:
    """Entries by incident."""
    found: dict[tuple[str, str], int] = {}
    for episode in episodes:
        if episode.group is not None:
            found[episode.group] = found.get(episode.group, 0) + 1
    return found
