"""What runs by itself, when it runs next, and how it went: for the Data page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trendcast.errors import Conflict
from trendcast.services import jobs, schedule
from trendcast.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from trendcast.store.engine import Database

# What happens without anybody asking for it, whether it has happened yet or not.
BY_ITSELF = ("refresh", "detect", "digest")


def timetable(db: Database, settings: Settings) -> pd.DataFrame:
    """One row per job: name, at_work, next_due (NaT: when data comes or somebody asks), retry_error, ended_at,
    last_state, last_error, last_id, seconds (of the last), usual_seconds (the median of the last twenty that
    succeeded), done (how many those are), dead (in 60 days). Times in UTC."""
    import pandas as pd

    frame = db.frame("job_timetable").set_index("name")
    frame = frame.reindex([*BY_ITSELF, *(name for name in frame.index if name not in BY_ITSELF)])
    for name in ("done", "dead"):
        frame[name] = frame[name].fillna(0).astype(int)
    frame["at_work"] = frame["at_work"].eq(True)
    now, zone = db.rows("job_now")[0]["now"], settings.time_zone
    hours = {
        "refresh": schedule.next_due(now, schedule.REFRESH_AT, zone),  # type: ignore[arg-type]
        "digest": min(schedule.next_due(now, at, zone) for at in schedule.CHECKS_AT),  # type: ignore[arg-type]
    }
    due = [hours.get(str(name)) if pd.isna(at) else at for name, at in frame["waits_for"].items()]
    frame["next_due"] = pd.to_datetime(pd.Series(due, index=frame.index), utc=True)
    return frame.drop(columns="waits_for").reset_index()


def failed(db: Database, limit: int = 50) -> pd.DataFrame:
    """Jobs that failed for good, newest first: id, name, scheduled_for, attempts, error, finished_at, made_good (a
    later one of the same job succeeded)."""
    return db.frame("job_dead", limit=limit)


def try_again(db: Database, slot_id: int) -> int:
    """Ask once more for what a dead slot was to do; returns the new slot. Raises Conflict when it is not dead."""
    slot: dict[str, Any] = jobs.slot(db, slot_id)
    if slot["state"] != "dead":
        raise Conflict(f"The job {slot['name']} has not failed: it is {slot['state']}.")
    return jobs.enqueue(db, slot["name"], slot["arguments"])
