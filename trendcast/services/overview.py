"""What is loaded and what was published: the rows behind the Data page, and the runs one can go back to."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from trendcast.errors import NotFound

if TYPE_CHECKING:
    import pandas as pd

    from trendcast.store.engine import Database


def tables(db: Database) -> pd.DataFrame:
    """Per fact table: table_name, rows (the planner's estimate, exact enough to read), first_day, last_day, batches."""
    return db.frame("overview_tables")


def batches(db: Database, limit: int = 200) -> pd.DataFrame:
    """The newest load batches, newest first."""
    return db.frame("overview_batches", limit=limit)


def quarantine(db: Database, batch_id: int | None = None, limit: int = 500) -> pd.DataFrame:
    """Quarantined rows, newest first: batch_id, table_name, source, row_number, reason, raw (bytes as text)."""
    frame = db.frame("overview_quarantine", batch_id=batch_id, limit=limit)
    frame["raw"] = [bytes(value).decode("utf-8", "replace") for value in frame["raw"]]
    return frame


def runs(db: Database, limit: int = 50) -> pd.DataFrame:
    """The newest runs, newest first: id, status, kind, last_day, n_series, created_at, published_at, error, summary,
    is_current."""
    return db.frame("run_list", limit=limit)


def run_days(db: Database) -> list[dt.date]:
    """The last days of data of all published runs that still have their numbers, newest first."""
    return [_date(row["last_day"]) for row in db.rows("overview_run_days")]


def run_as_of(db: Database, day: dt.date) -> Any:
    """The run that was current when the data ended on ``day`` or before; NotFound when there was none yet."""
    from trendcast.services import forecast

    rows = db.rows("overview_run_as_of", day=day)
    if not rows:
        raise NotFound(f"No forecast had been published by {day.isoformat()}.")
    return forecast.run_info(db, int(rows[0]["id"]))


def plan_daily(db: Database, run: Any, series_ids: list[int]) -> pd.DataFrame:
    """What was known ahead when the run was made: date_id (after its last day), promotion (NaN: not planned) and open,
    mean shares over the series."""
    import numpy as np
    import pandas as pd

    from trendcast.store import runs as stored

    history = (run.last_day - run.first_day).days + 1
    frames = [
        stored.unpack_history(row["history"]).iloc[history:]
        for row in db.rows("run_series_arrays", run_id=run.id, series_ids=series_ids)
        if row["history"] is not None
    ]
    days = min((len(frame) for frame in frames), default=0)
    first = run.last_day + dt.timedelta(days=1)
    plan = pd.DataFrame({"date_id": pd.date_range(first, periods=days).astype("datetime64[us]")})
    for name in ("promotion", "open"):
        plan[name] = np.mean([frame[name].to_numpy()[:days] for frame in frames], axis=0) if days else np.nan
    return plan


def feature_rows(db: Database, categories: tuple[str, ...] = (), regions: tuple[str, ...] = ()) -> pd.DataFrame:
    """The feature set of some categories and regions (sql/features.sql), oldest day first; () means all."""
    return db.frame("feature_rows", categories=list(categories), regions=list(regions))


CHANGES = {  # what a setting changes, for the page that lists them
    "DATABASE_URL": "everything: where the data lie",
    "SOURCE_DATABASE_URL": "sync",
    "TRENDCAST_HOME": "the embedded database, outputs, logs",
    "TRENDCAST_LOG_LEVEL": "the logs",
    "TRENDCAST_AUTH": "who may open the pages and REST",
    "TRENDCAST_PROXY_SECRET": "who may open the pages and REST",  # pragma: allowlist secret
    "TRENDCAST_PROXY_USER_HEADER": "who may open the pages and REST",
    "TRENDCAST_DEMO": "the first start",
    "TRENDCAST_JOBS": "refreshes and other jobs",
    "TRENDCAST_JOB_MEMORY_MB": "refreshes and other jobs",
    "TRENDCAST_JOB_MINUTES": "refreshes and other jobs",
    "TRENDCAST_CURRENCY": "money on every page, in sentences and mail",
    "TRENDCAST_UNIT_NAME": "volumes on every page, in sentences and mail",
    "TRENDCAST_TIME_ZONE": "times on every page",
    "TRENDCAST_NUMBER_FORMAT": "figures on every page, in sentences and mail",
    "TRENDCAST_REAL_DATA": "tests and benchmarks",
}


def settings_table() -> pd.DataFrame:
    """Every setting: name, value, default, changed (True: not the default), changes (what it acts on), help. Secrets
    are never shown, only whether they are set."""
    import pandas as pd

    from trendcast import settings

    values = settings.load()
    rows = []
    for one in settings.SETTINGS:
        value = getattr(values, settings.attribute(one.name))
        given = _setting_words(value)
        default = _setting_words(one.read(one.default))
        if one.secret:
            given, default = ("set" if given else "not set"), "not set"
        people = "_OIDC_" in one.name or one.name.endswith(("_GROUPS", "_ROLE_HEADER"))
        alerts = one.name.startswith(("ALERT_", "SMTP_", "EMAIL_")) or one.name == "TRENDCAST_PUBLIC_URL"
        otherwise = CHANGES["TRENDCAST_AUTH"] if people else "sync" if "_SYNC_" in one.name else "alerts" * alerts
        changes = CHANGES.get(one.name, otherwise)
        rows.append((one.name, given, default, given != default, changes, one.help))
    return pd.DataFrame(rows, columns=["name", "value", "default", "changed", "changes", "help"])


def _setting_words(value: Any) -> str:
    if isinstance(value, tuple | list | set | frozenset):
        return ", ".join(str(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{table}.{ours}={theirs}" for table, names in value.items() for ours, theirs in names.items())
    return str(value)


def _date(value: Any) -> dt.date:
    return value.date() if isinstance(value, dt.datetime) else value
