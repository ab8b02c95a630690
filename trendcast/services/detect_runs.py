"""Detections that somebody asks for: now in this process, or by a worker with an address to ask at.

All series are judged together, whoever asks about whichever: what is unusual shows against the others. A scope says
which names the answer is about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from trendcast import wording
from trendcast.errors import Conflict, NotFound
from trendcast.panel import DIMENSIONS
from trendcast.services import detect, jobs
from trendcast.services.names import nearest
from trendcast.services.progress import silent

if TYPE_CHECKING:
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database


def check_scope(db: Database, scope: Sequence[str]) -> None:
    """Raises NotFound, with the nearest names, for a name no series has; before the first run every name is taken."""
    if not scope:
        return
    known = [row["name"] for row in db.rows("series_names")]
    for name in scope:
        if known and name not in known:
            raise NotFound(f"No category, region or store is called '{name[:100]}'.", nearest(name, known))


def within(result: Mapping[str, Any], scope: Sequence[str]) -> dict[str, Any]:
    """The result with only the anomalies of these categories, regions or stores; no scope: all."""
    if not scope:
        return dict(result)
    kept = [one for one in result["anomalies"] if {one[name] for name in DIMENSIONS} & set(scope)]
    return {**result, "anomalies": kept, "n_flagged": len(kept)}


def now(db: Database, clock: Clock, *, dry_run: bool = False, as_of: date | None = None) -> dict[str, Any]:
    """Detect in this process; what was found for the same data before is that answer. Raises Conflict for a day that
    later ones were checked after, unless it was the last of a detection itself or nothing is to be written; NoRight
    where this process may not write facts."""
    known = None if dry_run else earlier(db, as_of)
    if known is not None:
        return known
    return detect.detect(db, clock, silent, None, trigger="api", as_of=as_of, dry_run=dry_run)


def earlier(db: Database, as_of: date | None) -> dict[str, Any] | None:
    """What the detection that ended on ``as_of`` found, when later days are checked already; None when they are not."""
    if as_of is None:
        return None
    row = db.rows("detect_run_of_day", as_of=as_of)[0]
    if row["checked_until"] is None or row["checked_until"] <= as_of:
        return None
    if row["summary"] is None:
        raise Conflict(
            f"Everything up to {wording.day(row['checked_until'])} is checked already. What an earlier day alone would "
            "give is told, and nothing written, with dry_run=true."
        )
    return {**row["summary"]["result"], "repeated": True}


def start(db: Database, *, dry_run: bool = False, as_of: date | None = None) -> int:
    """Ask a worker for it; the run's number. The same wish twice while it waits is one run. Raises Conflict as ``now``
    does."""
    if not dry_run:
        earlier(db, as_of)
    wish: dict[str, Any] = {"trigger": "api"}
    if dry_run:
        wish["dry_run"] = True
    if as_of is not None:
        wish["as_of"] = as_of.isoformat()
    return jobs.enqueue(db, "detect", wish, once=True)


def result(db: Database, run_id: int) -> dict[str, Any]:
    """A run that was asked for: state, error, result (None before it is done), dry_run. Raises NotFound."""
    return told(jobs.slot(db, run_id))


def told(slot: Mapping[str, Any]) -> dict[str, Any]:
    """What became of a detection that was asked for, and whether nothing was to be written. Raises NotFound."""
    if slot["name"] != "detect":
        raise NotFound(f"There is no detection {slot['id']}.")
    return {**jobs.outcome(slot), "dry_run": bool(slot["arguments"].get("dry_run"))}
