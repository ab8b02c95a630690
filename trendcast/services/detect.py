"""Early warning as a use-case: read a window, judge what is new, write incidents; once per state of the data."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from trendcast import wording
from trendcast.anomalies import explain, incidents, recovery
from trendcast.anomalies import impact as sizes
from trendcast.anomalies.detect import detect as judge
from trendcast.anomalies.detect import judge as judge_prepared
from trendcast.anomalies.detect import prepare
from trendcast.anomalies.entries import Found
from trendcast.anomalies.incidents import Episode
from trendcast.anomalies.limits import Limits
from trendcast.services import detect_write, runtime, verdicts
from trendcast.services.detect_window import ARRIVED, CORRECTED, RECOVERED, Window, read_state
from trendcast.services.health import LATE, is_historical
from trendcast.services.progress import Progress, silent
from trendcast.services.runtime import Clock

if TYPE_CHECKING:
    from trendcast.store.engine import Database

ABSENT = ("MISSING_FEED", "PARTIAL_FEED", "LATE_FEED")
CHECKS = ("0800", "1400")  # triggers that also ask whether a feed is late


@runtime.owners_work("Checking for anomalies")
def detect(
    db: Database,
    clock: Clock,
    progress: Progress,
    token: str | None,
    *,
    trigger: str = "ingest",
    as_of: date | str | None = None,
    dry_run: bool = False,
    announce: bool = True,
) -> dict[str, Any]:
    """Check every full day that is new, or whose data changed, and write what was found; returns a summary.

    The same data are never judged twice: the second call gets the first one's result. ``as_of``: nothing after that
    day is looked at. ``dry_run``: nothing is written, and the last day is judged even if it was before. ``announce``:
    mails are written in the same transaction; never at a first look or about data that ended long ago. The result's
    ``detection_run`` is the id of the run. Raises Conflict when nothing is loaded.
    """
    if isinstance(as_of, str):
        as_of = date.fromisoformat(as_of)
    from trendcast import settings
    from trendcast.services import alerts
    from trendcast.store import locks

    begun = time.perf_counter()
    seconds: dict[str, float] = {}
    with db.read() if dry_run else db.transaction() as connection:
        db.rows("detect_lock", connection=connection, number=locks.DETECT, turn=not dry_run)
        progress("Reading the sales", 0, 1)
        state = read_state(db, connection, as_of=as_of)
        now = clock()
        late = trigger in CHECKS and not dry_run and as_of is None and _late(db, connection, state, now)
        known = None if dry_run else _already(db, connection, state, as_of, now)
        if known is not None:
            progress("Reading the sales", 1, 1)
            if late and announce:
                known["told"] = alerts.announce(db, connection, settings.load(), now)
            return {**known, "seconds": round(time.perf_counter() - begun, 2), "repeated": True}
        window = Window(db, connection, state, now)
        seconds["reading"] = time.perf_counter() - begun
        progress("Reading the sales", 1, 1)
        progress("Looking for anomalies", 0, 1)
        arriving = window.scene.days - 1 if window.waits_until and not window.arriving else None
        found = judge(window.scene, window.judged, window.limits, arriving)
        entries = recovery.without_returns(found.entries, window.episodes, window.scene, window.under)
        verdicts.note_wholes(entries, window.scene, window.under)
        found = replace(found, entries=entries)
        episodes = incidents.gather(entries, window.episodes, window.scene.first_day)
        gone = incidents.corrected(episodes, window.judged_days, window.actuals(episodes, found))
        endings = _endings(episodes, gone, window, found)
        seconds["judging"] = time.perf_counter() - begun - seconds["reading"]
        progress("Looking for anomalies", 1, 1)
        result = detect_write.result(found, window, episodes)
        if dry_run:
            return {**result, "dry_run": True, "seconds": round(time.perf_counter() - begun, 2)}
        progress("Writing the incidents", 0, 1)
        number = detect_write.write(db, connection, clock(), trigger, window, found, episodes, endings, result)
        touched = late or any(episode.touched for episode in episodes)  # else nothing is to be told that was not before
        if touched and (window.first_look or not announce or is_historical(state["days_old_when_loaded"])):
            alerts.hush(db, connection, clock())
        elif touched:
            result["told"] = alerts.announce(db, connection, settings.load(), clock())
    seconds["writing"] = time.perf_counter() - begun - sum(seconds.values())
    progress("Writing the incidents", 1, 1)
    return {
        **result,
        "detection_run": number,
        "seconds": round(time.perf_counter() - begun, 2),
        "parts": {name: round(value, 3) for name, value in seconds.items()},
    }


@dataclass(frozen=True)
class Replayed:
    """``episodes`` of each variant of the limits over the last ``days``, and the entries people gave a verdict on."""

    days: int
    episodes: list[list[Episode]]
    verdicts: list[Episode]


def replay(
    db: Database,
    now: datetime,
    days: int,
    variants: Sequence[Callable[[Sequence[Sequence[Any]]], Sequence[Sequence[Any]]]],
    progress: Progress = silent,
) -> Replayed:
    """Judge the last ``days`` once more under other limits; nothing is written. Each variant gets the rows of the
    thresholds (name, level, product_category, region, store, value) and returns its own."""
    from trendcast.store import locks

    steps = 1 + len(variants)
    progress("Reading the sales", 0, steps)
    with db.read() as connection:
        db.rows("detect_lock", connection=connection, number=locks.DETECT, turn=False)
        state = read_state(db, connection)
        window = Window(db, connection, state, now, back=days)
    verdicts = [one for one in window.episodes if one.disposition is not None]
    ready = prepare(window.scene, window.judged)
    found = []
    for number, variant in enumerate(variants):
        progress("Replaying the past", 1 + number, steps)
        limits = Limits.of_rows(variant(state["limits"]), window.limits.trust)
        entries = judge_prepared(ready, limits).entries
        found.append(incidents.gather(entries, [], window.scene.first_day))
    progress("Replaying the past", steps, steps)
    return Replayed(len(window.judged), found, verdicts)


def last_detection(db: Database) -> Mapping[str, Any] | None:
    """The newest finished detection: id, as_of, data_version, finished, n_series, n_flagged, summary."""
    rows = db.rows("detect_last")
    return rows[0] if rows else None


def _already(
    db: Database, connection: Any, state: Mapping[str, Any], as_of: date | None, now: datetime
) -> dict[str, Any] | None:
    """What an earlier detection of the same data found; None when there is something new, or what was given time to
    arrive had it."""
    if state["checked_until"] is None or state["checked_version"] < state["data_version"]:
        return None
    if (state["looked_to"] or state["checked_until"]) < state["last_sale"]:
        return None
    if state["waits_until"] is not None and state["waits_until"] <= now:
        return None
    rows = db.rows("detect_last", connection=connection)
    return {**rows[0]["summary"]["result"], "detection_run": rows[0]["id"]}


def _late(db: Database, connection: Any, state: Mapping[str, Any], now: datetime) -> bool:
    """Write an incident when no sales came for days; whether it is new. It is over when they come."""
    today = now.astimezone(wording.zone()).date()
    if is_historical(state["days_old_when_loaded"]) or (today - state["last_sale"]).days <= LATE:
        return False
    start = state["last_sale"] + timedelta(days=1)
    key = ("total", "", "", "")
    figures: dict[str, Any] = {
        **dict.fromkeys(("expected", "lo", "hi", "z", "p", "q", "loss", "loss_units")),
        "day": start.isoformat(),
        "actual": 0.0,
        "impact": "HIGH",
        "score": sizes.RANGES["HIGH"][0],
        "class": "LATE_FEED",
    }
    headline = explain.headline(
        key, "LATE_FEED", "DATA_QUALITY", figures, start.isoformat(), start.isoformat(), 1, None, None, {}
    )
    explanation = {
        "days": [figures],
        "facts": {"last_day": state["last_sale"].isoformat()},
        "cause": "data quality",
        "headline": headline,
        "next_step": explain.next_step("LATE_FEED", "DATA_QUALITY", "data quality", 0, key),
    }
    rows = db.rows(
        "detect_late",
        connection=connection,
        group_key=incidents.group_key(key, 0, "feed"),
        node=json.dumps(list(key)),
        day=start,
        fingerprint=incidents.fingerprint(key, 0, "feed", start.isoformat()).hex(),
        headline=headline,
        explanation=json.dumps(explanation),
        score=figures["score"],
        available=state["data_available_at"],
        at=now,
    )
    return bool(rows[0]["made"])


def _endings(episodes: list[Episode], gone: list[Episode], window: Window, found: Found) -> dict[int, str]:
    """id(episode) -> the note with which it ends: the data no longer show it, or its node is as usual again. What
    belongs to an incident ends with it. What has come to stay is marked."""
    ended = {id(one): ARRIVED if one.cls in ABSENT else CORRECTED for one in gone}
    checked = window.state["checked_until"]
    if checked is None or window.scene.dates[-1] <= np.datetime64(checked, "D"):
        return ended  # only a new day says that something is over
    recovery.stayed(episodes, window.scene, found, window.under)
    recovery.mark_returned(episodes, window.scene, found, window.under)
    left = [one for one in episodes if id(one) not in ended]
    groups = {one.group for one in recovery.back(left, window.scene, found, window.under)}
    for one in left:
        if one.group in groups and one.open:
            one.touched = True
            ended[id(one)] = RECOVERED
    return ended
