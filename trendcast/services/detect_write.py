"""What a detection writes: its run, its incidents and their entries, and the answer it gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from trendcast.anomalies import explain, incidents
from trendcast.anomalies.detect import VERSION
from trendcast.anomalies.entries import Entry, Found
from trendcast.anomalies.incidents import Episode
from trendcast.services.detect_judged import judged
from trendcast.services.detect_window import CORRECTIONS, FIRST_READ, RECOVERED, USUAL_MARGIN, Window, as_date

if TYPE_CHECKING:
    from trendcast.store.engine import Database

SETTLED = 14  # days before the last one: what a first look finds before them is written as resolved
MOST_TOLD = 1000  # anomalies a result lists


def result(found: Found, window: Window, episodes: list[Episode]) -> dict[str, Any]:
    """What a pass answers: counts, and the entries of its days."""
    touched = {episode.group for episode in episodes if episode.touched}
    told = [_told(entry, window) for entry in found.entries]
    return {
        "days": len(window.judged),
        "as_of": str(window.scene.dates[-1]),
        "n_series": found.series,
        "n_flagged": len(told),
        "tests": found.tests,
        "incidents": len(touched),
        "anomalies": told[-MOST_TOLD:],
    }


def _told(entry: Entry, window: Window) -> dict[str, Any]:
    now = entry.now
    return {
        "date": str(window.scene.first_day + entry.day),
        "level": entry.level,
        "product_category": entry.product_category,
        "region": entry.region,
        "store": entry.store,
        "actual_sales": now.actual,
        "expected_sales": now.expected if np.isfinite(now.expected) else None,
        "anomaly_score": entry.score,
        "impact": entry.impact,
        "kind": entry.kind,
        "class": entry.cls,
        "member": entry.parent is not None,
    }


def write(
    db: Database,
    connection: Any,
    now: datetime,
    trigger: str,
    window: Window,
    found: Found,
    episodes: list[Episode],
    endings: Mapping[int, str],
    answer: dict[str, Any],
) -> int | None:
    """Everything of the pass by one statement; the id of its run, None when another has done it."""
    state = window.state
    settled = window.scene.dates[-1] - np.timedelta64(SETTLED, "D")
    touched = [episode for episode in episodes if episode.touched and episode.group is not None]
    members = incidents.counts(episodes)
    leads = {episode.group: episode for episode in episodes if episode.lead}
    told: dict[tuple[str, str], dict[str, Any]] = {}
    entries = []
    for episode in touched:
        assert episode.group is not None
        lead = leads.get(episode.group, episode)
        note, status = None, "NEW"
        if window.first_look and lead.last < settled:
            note, status = FIRST_READ, "RESOLVED"
        if episode.group not in told:
            told[episode.group] = _incident(lead, episode.group, members[episode.group], note, status, now)
        if id(lead) in endings:
            told[episode.group]["note"] = endings[id(lead)]
        entries.append(_entry(episode, window, endings.get(id(episode), note), status, now))
    sold = np.isfinite(window.scene.units).any(axis=0)
    summary = {
        "result": answer,
        "high_loss": found.high_loss,
        "in_money": found.in_money,
        "business_days": [str(day) for day in window.scene.dates[sold][-200:]],
        "first_look": window.first_look,
        "looked_to": window.state["last_sale"],
        "waits_until": window.waits_until if found.waiting or window.arriving else None,
        "judged": judged(found, window.scene, int(max(window.judged, default=window.scene.days - 1))),
    }
    rows = db.rows(
        "detect_write",
        connection=connection,
        trigger=trigger,
        as_of=as_date(window.scene.dates[-1]),
        data_version=state["data_version"],
        detector_version=VERSION,
        started=now,
        finished=now,
        n_series=found.series,
        n_flagged=answer["n_flagged"],
        summary=json.dumps(summary, default=_plain),
        incidents=json.dumps(list(told.values()), default=_plain),
        entries=json.dumps(entries, default=_plain),
        data_available_at=state["data_available_at"],
        corrections=list(CORRECTIONS),
        recovered=RECOVERED,
    )
    return rows[0]["detection_run"]


def _incident(
    lead: Episode, group: tuple[str, str], members: int, note: str | None, status: str, now: datetime
) -> dict[str, Any]:
    return {
        "group_key": group[0],
        "episode_start": group[1],
        "parent_node": json.dumps(list(lead.key), ensure_ascii=False),
        "kind": lead.kind,
        "impact": lead.impact,
        "status": status,
        "loss": lead.total("loss"),
        "members": members,
        "headline": headline(lead),
        "attribution": lead.facts.get("explained") or [],
        "note": note,
        "at": now,
    }


def headline(episode: Episode) -> str:
    """An entry in a sentence or two: of a feed about its newest day, else about its worst."""
    told = episode.days[str(episode.last)] if episode.family == "feed" else episode.worst
    return explain.headline(
        episode.key, episode.cls, episode.kind, told, str(episode.start), str(episode.last), len(episode.days),
        episode.total("loss"), episode.total("loss_units"), episode.facts,
    )  # fmt: skip


def _entry(episode: Episode, window: Window, note: str | None, status: str, now: datetime) -> dict[str, Any]:
    worst = episode.worst
    day = window.scene.place(worst["day"])
    run = 0.0
    if 0 <= day < window.scene.days:
        run = float(window.forecast_run[window.under(episode.key), day].max(initial=0))
    group = episode.group or ("", "")
    cause = explain.cause(episode.cause, episode.cls, episode.kind, episode.facts)
    if window.assumed and (not episode.key[1] or episode.key[1] in window.assumed):
        episode.facts["assumed_margin"] = USUAL_MARGIN
    return {
        "detected_date": worst["day"],
        "product_category": episode.key[1],
        "region": episode.key[2],
        "store": episode.key[3],
        "level": episode.key[0],
        "actual": worst["actual"],
        "expected": worst["expected"] or 0.0,
        "score": worst["score"],
        "impact": episode.impact,
        "status": status,
        "at": now,
        "fingerprint": episode.fingerprint.hex(),
        "kind": episode.kind,
        "class": episode.cls,
        "direction": episode.direction,
        "episode_start": str(episode.start),
        "lo": worst["lo"],
        "hi": worst["hi"],
        "z": worst["z"],
        "p": worst["p"],
        "q": worst["q"],
        "loss": episode.total("loss"),
        "forecast_run": int(run) or None,
        "group_key": group[0],
        "group_start": group[1],
        "explanation": {
            "days": [episode.days[one] for one in sorted(episode.days)],
            "facts": episode.facts,
            "cause": episode.cause,
            "headline": headline(episode),
            "next_step": explain.next_step(
                episode.cls,
                episode.kind,
                cause,
                episode.direction,
                episode.key,
                facts=episode.facts,
            ),
        },
        "last_day": str(episode.last),
        "loss_units": episode.total("loss_units"),
        "cause": cause,
        "lead": episode.lead,
        "note": note,
    }


def _plain(value: object) -> object:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value.tolist() if hasattr(value, "tolist") else str(value)
