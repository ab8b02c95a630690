"""Sync: the customer's own tables over SQL, day by day, with the checks and the merge of a load.

Of every day a mark of its rows is kept. A sync compares the marks of the last weeks (once an hour: of all days) with
those of the source and reads the days that changed, whole. So a new day, a late row and a correction of last year are
all found, without keys, timestamps or triggers there. Rows that vanish from the source are kept here: a table that is
emptied to be filled again must not empty ours.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from trendcast.errors import DatabaseAway, InvalidInput, NotConfigured, TrendCastError
from trendcast.services import runtime
from trendcast.services.load import Loader, LoadSummary, TableSummary
from trendcast.services.progress import Progress, silent
from trendcast.services.runtime import Clock
from trendcast.services.sources import CsvSource
from trendcast.services.tables import TABLES, Table, match_header
from trendcast.settings import Settings
from trendcast.store.engine import Database, normalise_url
from trendcast.store.source import Snapshot, SourceTable, snapshot

# Our table -> the setting that names theirs. Sales come last: with them the first refresh starts, and it needs the
# rest.
_SETTINGS = {
    "market_factors": "sync_market_table",
    "inventory_daily": "sync_inventory_table",
    "events": "sync_events_table",
    "plan_daily": "sync_plan_table",
    "sales_daily": "sync_sales_table",
}

FULL_EVERY_MINUTES = 60


@dataclass(frozen=True)
class _Changes:
    """What of a source's table differs from what was seen before."""

    read: pd.DataFrame  # day, rows, mark of new and changed days
    gone: list[str]  # days seen before that have no rows any more (only known when all days were looked at)


def sync(
    db: Database,
    settings: Settings,
    *,
    full: bool = True,
    accept: bool = False,
    patient: bool = False,
    actor: str = "someone",
    on_progress: Progress = silent,
    clock: Clock = runtime.clock,
) -> LoadSummary:
    """Bring over what is new or changed in the customer's tables.

    ``full`` looks at every day of the source (one pass over its tables), otherwise only at the look-back window before
    the newest day seen, and at every day when that was last done an hour ago. ``patient`` leaves a table whose batch
    is held alone for an hour: someone has to look at it first. Raises NotConfigured when there is no sales table,
    InvalidInput when a column is missing.
    """
    started = time.perf_counter()
    url = str(settings.source_database_url or db.url)
    summary = LoadSummary()
    loader = Loader(db, accept=accept, actor=actor, clock=clock, by_content=False)
    with snapshot(url) as source:
        sales = str(settings.sync_sales_table)
        if _source_table(source, TABLES["sales_daily"], sales, settings) is None:
            raise NotConfigured(
                f"There is no table {sales} to read sales from: set TRENDCAST_SYNC_SALES_TABLE, and "
                "SOURCE_DATABASE_URL if it lies in another database."
            )
        for name, setting in _SETTINGS.items():
            table = TABLES[name]
            theirs = str(getattr(settings, setting))
            if not theirs:
                continue
            found = _source_table(source, table, theirs, settings)
            if found is None:
                summary.tables.append(TableSummary(name, theirs, status="empty", notes=["not there"]))
                continue
            if patient and (held := db.rows("sync_held", table=name, source=_label(found))):
                summary.tables.append(TableSummary(name, theirs, status="held", reason=held[0]["reason"]))
                continue
            key = _source_key(url, found)
            on_progress(f"{name}: looking for changes", 0, 1)
            seen = _seen(db, key)
            age = db.rows("sync_full_age", source=key)
            due = full or not age or age[0]["minutes"] >= FULL_EVERY_MINUTES
            since = None if due else _since(list(seen), int(str(settings.sync_lookback_days)), clock().date())
            changes = _compare(source.days(found, since), seen, all_days=since is None)
            on_progress(f"{name}: looking for changes", 1, 1)
            result = _bring(source, found, table, changes, loader, summary, on_progress)
            if result.status in ("merged", "rejected"):
                # A held batch is looked at again by the next sync: its days stay unseen until someone accepts it.
                db.execute(
                    "sync_keep_day",
                    source=key,
                    days=changes.read["day"].tolist(),
                    rows=changes.read["rows"].tolist(),
                    marks=changes.read["mark"].tolist(),
                )
            if since is None and result.status != "held":
                db.execute("sync_full_done", source=key)
            if changes.gone:
                shown = ", ".join(changes.gone[:3]) + (" ..." if len(changes.gone) > 3 else "")
                result.notes.append(
                    f"{len(changes.gone)} days are no longer in {theirs} ({shown}); their rows were kept"
                )
                db.execute("sync_forget_days", source=key, days=changes.gone)
    summary.seconds = time.perf_counter() - started
    return summary


def unseen(db: Database, settings: Settings, *, clock: Clock = runtime.clock) -> frozenset[tuple[str, str, str]]:
    """What a quick look at the source shows that was not brought over: (our table, day, mark of its rows) each.

    Reads marks of the look-back window only and writes nothing, so it costs a fraction of a sync; nothing is reported
    of a table that was never brought over. Raises as ``sync`` does.
    """
    url = str(settings.source_database_url or db.url)
    new: set[tuple[str, str, str]] = set()
    with snapshot(url) as source:
        for name, setting in _SETTINGS.items():
            theirs = str(getattr(settings, setting))
            found = _source_table(source, TABLES[name], theirs, settings) if theirs else None
            if found is None:
                continue
            seen = {
                row["day"]: (row["rows"], row["mark"]) for row in db.rows("sync_days", source=_source_key(url, found))
            }
            since = _since(list(seen), int(str(settings.sync_lookback_days)), clock().date())
            if since is not None:
                changed = _compare(source.days(found, since), seen, all_days=False).read
                new |= {(name, str(row.day), str(row.mark)) for row in changed.itertuples()}
    return frozenset(new)


def sync_now(db: Database, clock: Clock, progress: Progress, token: str) -> dict[str, Any]:
    """The job that looks every minute; ``said``: what is wrong with the source, '' when nothing is."""
    from trendcast import settings

    try:
        summary = sync(db, settings.load(), full=False, patient=True, actor="worker", on_progress=progress, clock=clock)
    except DatabaseAway:
        raise
    except TrendCastError as error:
        return {"said": str(error), "rows": 0}
    held = [table.source for table in summary.tables if table.status == "held"]
    said = f"a batch of {', '.join(held)} looks wrong and is held" if held else ""
    return {"said": said, "rows": sum(table.new + table.changed for table in summary.tables)}


def _seen(db: Database, source: str) -> dict[str, tuple[int, str]]:
    """Day -> rows and mark, as they were last brought over."""
    return {row["day"]: (row["rows"], row["mark"]) for row in db.rows("sync_days", source=source)}


def _label(found: SourceTable) -> str:
    """What batches of this table are marked with."""
    return f"sync {found.name}"


def _bring(
    source: Snapshot,
    found: SourceTable,
    table: Table,
    changes: _Changes,
    loader: Loader,
    summary: LoadSummary,
    on_progress: Progress,
) -> TableSummary:
    """Read the changed days through a temporary file and load them."""
    if changes.read.empty:
        result = TableSummary(table.name, found.name, status="same", notes=["nothing changed in the source"])
        summary.tables.append(result)
        return result
    with tempfile.TemporaryDirectory(prefix="trendcast-sync-") as folder:
        path = Path(folder) / "rows.csv"
        with open(path, "wb") as file:
            source.export(found, changes.read["day"].tolist(), file)
        return loader.load(table, CsvSource(path, table, name=found.name), _label(found), summary, on_progress)


def _source_table(source: Snapshot, table: Table, theirs: str, settings: Settings) -> SourceTable | None:
    """Their table with our names for its columns; None when there is none."""
    present = source.columns(theirs)
    if not present:
        return None
    renamed: Mapping[str, str] = settings.sync_columns.get(table.name, {})  # type: ignore[attr-defined]
    for ours, name in renamed.items():
        if ours not in table.names:
            raise NotConfigured(f"TRENDCAST_SYNC_COLUMNS names {table.name}.{ours}, which is no column of ours.")
        if name not in present:
            near = get_close_matches(name, list(present), n=1, cutoff=0.4)
            raise NotConfigured(
                f"TRENDCAST_SYNC_COLUMNS names the column {name}, which {theirs} does not have.", tuple(near)
            )
    taken = {name: ours for ours, name in renamed.items()}
    header = [taken.get(name, name) for name in present]
    try:
        by_ours = match_header(table, header, f"The table {theirs}")
    except InvalidInput as error:
        raise InvalidInput(f"{error} Name the columns in TRENDCAST_SYNC_COLUMNS.") from error
    columns = {ours: list(present)[header.index(name)] for ours, name in by_ours.items()}
    assert table.day is not None
    kind = present[columns[table.day]]
    return SourceTable(theirs, columns, table.day, day_is_text=not kind.startswith(("date", "timestamp")))


def _source_key(url: str, found: SourceTable) -> str:
    """Names a source: another address, table or choice of columns is another source."""
    address = normalise_url(url)
    parts = [address.host, address.port, address.database, sorted(address.query.items()), found.name]
    return hashlib.sha256(repr([*parts, sorted(found.columns.items())]).encode()).hexdigest()[:32]


def _since(seen: list[str], lookback: int, today: date) -> str | None:
    """The first day a quick sync looks at; None (all days) before anything was seen."""
    days = []
    for text in seen:
        try:
            days.append(date.fromisoformat(text))
        except ValueError:
            continue
    return str(min(max(days), today) - timedelta(days=lookback)) if days else None


def _compare(now: pd.DataFrame, seen: Mapping[str, tuple[int, str]], *, all_days: bool) -> _Changes:
    changed = [seen.get(day) != (rows, mark) for day, rows, mark in now.itertuples(index=False)]
    gone = sorted(set(seen) - set(now["day"])) if all_days else []
    return _Changes(now[pd.Series(changed, index=now.index, dtype=bool)], gone)
