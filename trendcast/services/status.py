"""Everything about an installation on one screen: for `status`, for the Data page, for a support request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trendcast import __version__
from trendcast.errors import TrendCastError
from trendcast.services import runtime
from trendcast.settings import Settings

if TYPE_CHECKING:
    from trendcast.store.engine import Database


def embedded_condition(settings: Settings) -> dict[str, Any] | None:
    """The embedded server as it is before anybody opens it: running, an orphan (its last user was killed), disk space.
    None when DATABASE_URL names a server."""
    from trendcast.store import embedded

    if settings.database_url:
        return None
    found = embedded.inspect(Path(str(settings.home)))
    return {
        "folder": str(found.folder / "database"),
        "exists": found.exists,
        "running": found.running,
        "orphan": found.orphan,
        "free_bytes": found.free_bytes,
    }


def status(db: Database, settings: Settings, *, embedded: dict[str, Any] | None = None) -> dict[str, Any]:
    """The installation's state. ``embedded``: what embedded_condition said before ``db`` was opened, if it was asked.

    Keys: version, database, schema, data, loads, run (None: nothing published), jobs (the newest), health.
    """
    from trendcast.services import jobs
    from trendcast.services.health import health
    from trendcast.store import migrate

    server = dict(db.rows("status_database")[0])
    at = migrate.current(db)
    found: dict[str, Any] = {
        "version": __version__,
        "database": {
            "kind": "embedded" if not settings.database_url else "server",
            **server,
            "ping_seconds": db.ping(),
            "embedded": embedded if embedded is not None else embedded_condition(settings),
        },
        "schema": {"at": at, "head": migrate.head(), "current": at == migrate.head()},
    }
    if at != migrate.head():
        return {**found, "health": {"status": "degraded", "reasons": ["The database must be upgraded: db upgrade."]}}
    runs = db.rows("status_run")
    found["data"] = dict(db.rows("status_data")[0])
    found["loads"] = dict(db.rows("status_loads")[0])
    found["run"] = dict(runs[0]) if runs else None
    found["jobs"] = [_job(jobs.slot(db, int(slot))) for slot in jobs.slots(db, 8)["id"]]
    try:
        found["health"] = health(db, runtime.clock, settings.time_zone)  # type: ignore[arg-type]
    except TrendCastError as error:
        found["health"] = {"status": "degraded", "reasons": [str(error)]}
    return found


def _job(slot: dict[str, Any]) -> dict[str, Any]:
    progress = slot["progress"] or {}
    kept = ("id", "name", "scheduled_for", "state", "attempts", "error", "at_work", "seconds", "finished_at")
    return {
        **{key: slot[key] for key in kept},
        "stage": progress.get("stage"),
        "done": progress.get("done"),
        "total": progress.get("total"),
    }
