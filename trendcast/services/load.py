"""Loading: a retailer's files or frames into the fact tables, checked, idempotent, with nothing lost on the way.

Each table is one transaction: rows are checked chunk by chunk and copied to a staging table, refused ones to
quarantine with their reason, contradicting duplicates too; what remains is merged, and replaced values go to history. A
later batch that looks wrong as a whole is held until someone accepts it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from trendcast import wording
from trendcast.errors import Conflict, InvalidInput
from trendcast.services import runtime
from trendcast.services.progress import Progress, silent
from trendcast.services.runtime import Clock
from trendcast.services.sources import FrameSource, Source, open_file, tables_in
from trendcast.services.tables import MOST_CATEGORIES, TABLES, Table, check, shown
from trendcast.store import loads
from trendcast.store.engine import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection


DEMO = "demo"  # the source of the demo retailer's batches
HELD_SHARE = 0.02  # of rows in quarantine
HELD_ROWS = 0.5  # of the weekday's usual number of rows
WARN_MADS = 6.0
REJECTED_ROWS_KEPT = 1_000

CONTRADICTING = "another row has the same key and other values"


@dataclass
class TableSummary:
    """What became of one file or frame. ``rows`` = new + changed + unchanged + repeated + all in quarantine."""

    table: str
    source: str
    status: str = "merged"  # merged, same (loaded before), empty, held, rejected
    batch: int | None = None
    rows: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    repeated: int = 0  # equal rows collapsed
    quarantined: dict[str, int] = field(default_factory=dict)  # reason -> rows
    first_day: date | None = None
    last_day: date | None = None
    reason: str | None = None  # why held or rejected
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def refused(self) -> int:
        return sum(self.quarantined.values())


@dataclass
class LoadSummary:
    """What a load or sync did, by table."""

    tables: list[TableSummary] = field(default_factory=list)
    replaced_demo: bool = False
    dry_run: bool = False
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """0; 1 when a table was rejected; 3 when a batch is held."""
        states = {table.status for table in self.tables}
        return 1 if "rejected" in states else 3 if "held" in states else 0

    @property
    def brought_data(self) -> bool:
        return any(table.new or table.changed for table in self.tables if table.status == "merged")

    def table(self, name: str) -> TableSummary:
        return next(table for table in self.tables if table.table == name)

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "exit_code": self.exit_code}


def load_directory(
    db: Database,
    folder: Path | str,
    *,
    accept: bool = False,
    day_first: bool = False,
    dry_run: bool = False,
    actor: str = "someone",
    on_progress: Progress = silent,
    clock: Clock = runtime.clock,
) -> LoadSummary:
    """Load every file of the folder that is named after a table of the contract.

    All files are opened before the first row is loaded; InvalidInput says what is wrong with which. ``accept`` merges
    batches the gate would hold, in the name of ``actor``; ``dry_run`` checks everything and changes nothing.
    """
    started = time.perf_counter()
    paths = tables_in(Path(folder), list(TABLES))
    sources: list[tuple[Table, Source]] = []
    complaints = []
    for name, path in paths.items():
        try:
            sources.append((TABLES[name], open_file(path, TABLES[name])))
        except InvalidInput as error:
            complaints.append(str(error))
    if complaints:
        raise InvalidInput(" ".join(complaints))
    if not any(source.has_rows for _, source in sources):
        raise InvalidInput(" ".join(f"{source.name} has a header but no rows." for _, source in sources))
    summary = LoadSummary(dry_run=dry_run)
    loader = Loader(db, accept=accept, day_first=day_first, dry_run=dry_run, actor=actor, clock=clock)
    for table, source in sources:
        loader.load(table, source, str(Path(folder).name) + "/" + source.name, summary, on_progress)
    summary.seconds = time.perf_counter() - started
    return summary


def load_frames(
    db: Database,
    frames: Mapping[str, pd.DataFrame],
    *,
    source: str,
    accept: bool = False,
    actor: str = "someone",
    sha256: str | None = None,
    on_progress: Progress = silent,
    clock: Clock = runtime.clock,
) -> LoadSummary:
    """Load frames by table name with the checks and the merge of files. ``source='demo'`` marks the demo retailer;
    raises Conflict when that is asked of a database with one's own data. ``sha256``: of what the frames were read
    from, so that the same again is no work; ``accept`` merges what would be held, in the name of ``actor``."""
    started = time.perf_counter()
    unknown = [name for name in frames if name not in TABLES]
    if unknown:
        raise InvalidInput(f"There is no table {unknown[0]}; the tables are {', '.join(TABLES)}.")
    summary = LoadSummary()
    loader = Loader(db, accept=accept, actor=actor, clock=clock)
    for name, table in TABLES.items():
        if name in frames:
            rows = FrameSource(name, frames[name], table)
            rows.sha256 = sha256
            loader.load(table, rows, source, summary, on_progress)
    summary.seconds = time.perf_counter() - started
    return summary


def clear(db: Database) -> None:
    """Empty the database of the demo retailer and all computed from it; raises Conflict when there is own data."""
    with db.transaction() as connection:
        loads.begin(connection)
        _refuse_own_data(db, connection)
        _clear(db, connection)


def _clear(db: Database, connection: Connection, *, but: int = 0) -> None:
    """Empty everything that is data or made of it; of the batches ``but`` is kept, with its quarantine."""
    db.execute("load_clear", connection=connection)
    db.execute("load_clear_batches", connection=connection, batch=but)


def _refuse_own_data(db: Database, connection: Connection) -> None:
    if db.rows("load_sources", connection=connection)[0]["own"]:
        raise Conflict("The database holds data of your own: the demo retailer is made in an empty database only.")


class _DryRun(Exception):
    """Leaves the transaction of a dry run without a commit."""


@dataclass
class Loader:
    """Loads one source after the other, each in a transaction of its own."""

    db: Database
    accept: bool = False
    day_first: bool = False
    dry_run: bool = False
    actor: str = "someone"
    clock: Clock = runtime.clock
    # Whether a source with the content of a batch merged before is no work. Not so where only changes come: there a
    # value that is put back makes the same content as its first coming.
    by_content: bool = True
    patience: int = 600  # seconds to wait for another load
    # Called in the transaction of a source, once all of it is written.
    at_end: Callable[[Connection, TableSummary], None] | None = None

    def load(
        self, table: Table, source: Source, label: str, summary: LoadSummary, on_progress: Progress
    ) -> TableSummary:
        """Load ``source`` into ``table``; ``label`` is kept with the batch. The outcome is added to ``summary``."""
        started = time.perf_counter()
        result = TableSummary(table.name, source.name)
        summary.tables.append(result)
        if source.ignored and table.attributes is None:
            result.notes.append(f"columns not used: {', '.join(map(shown, source.ignored[:10]))}")
        if not source.has_rows:
            result.status = "empty"
            result.notes.append("a header but no rows")
        else:
            try:
                with runtime.owners_work("Loading data"), self.db.transaction() as connection:
                    self._load(connection, table, source, label, result, summary, on_progress)
                    if self.at_end is not None:
                        self.at_end(connection, result)
                    if self.dry_run:
                        raise _DryRun
            except _DryRun:
                result.batch = None
        result.seconds = time.perf_counter() - started
        return result

    def _load(
        self,
        connection: Connection,
        table: Table,
        source: Source,
        label: str,
        result: TableSummary,
        summary: LoadSummary,
        on_progress: Progress,
    ) -> None:
        loads.begin(connection, self.patience)
        holdings = self.db.rows("load_sources", connection=connection)[0]
        if label == DEMO:
            _refuse_own_data(self.db, connection)
        elif source.sha256 is not None:
            known = {"table": table.name, "sha256": source.sha256}
            before = self.db.rows("load_merged_batch", connection=connection, **known)
            if before and self.by_content:
                result.status = "same"
                result.rows = result.unchanged = before[0]["rows_in"]
                result.first_day, result.last_day = before[0]["first_day"], before[0]["last_day"]
                result.notes.append(f"these very bytes were loaded on {before[0]['committed_at']:%Y-%m-%d}")
                return
            # The same rows again after they were held or rejected: the new attempt takes the old one's place.
            for held in self.db.rows("load_held_batch", connection=connection, **known):
                self.db.execute("load_drop_batch", connection=connection, batch=held["id"])
        replaces_demo = bool(holdings["demo"]) and label != DEMO
        batch = loads.open_batch(connection, source=label, table=table.name, sha256=source.sha256)
        shape = _shape(table, source)
        loads.create_stage(connection, shape)
        self._stage(connection, table, source, batch, result, on_progress)
        loads.analyze_stage(connection)
        on_progress(f"{table.name}: comparing", 0, 3)
        result.repeated, contradicting = loads.settle_duplicates(connection, shape)
        if contradicting:
            loads.copy_quarantine(connection, batch, _raw_of(source, contradicting))
            result.quarantined[CONTRADICTING] = len(contradicting)
        kept = result.rows - result.refused - result.repeated
        if table.day is not None and table.day in shape.kinds:
            result.first_day, result.last_day = loads.stage_range(connection, table.day)
            planned = any(column.ahead for column in table.columns if column.name == table.day)
            today = self.clock().astimezone(wording.zone()).date()
            if not planned and result.last_day is not None and (words := wording.ahead(result.last_day, today)):
                result.notes.append(words)
        if kept == 0:
            self._reject(connection, batch, result)
            return
        on_progress(f"{table.name}: comparing", 1, 3)
        if not replaces_demo:
            result.reason = self._gate(connection, table, result)
        if result.reason is not None and not self.accept:
            result.status = "held"
            self._close(connection, batch, result, rows_ok=kept)
            return
        if replaces_demo:
            _clear(self.db, connection, but=batch)
            summary.replaced_demo = True
        merged = loads.merge(connection, shape, batch)
        result.new, result.changed, result.unchanged = merged.new, merged.changed, merged.unchanged
        on_progress(f"{table.name}: comparing", 2, 3)
        if max(result.new, result.changed) > 1_000:
            loads.analyze(connection, table.name)
        self._close(connection, batch, result, rows_ok=kept, accepted_by=self.actor if result.reason else None)
        on_progress(f"{table.name}: comparing", 3, 3)

    def _stage(
        self,
        connection: Connection,
        table: Table,
        source: Source,
        batch: int,
        result: TableSummary,
        on_progress: Progress,
    ) -> None:
        """Check every chunk; copy good rows to the stage and refused ones to quarantine."""
        today = self.clock().date()
        reasons: Counter[str] = Counter()
        for chunk in source.chunks():
            checked = check(
                chunk.rows, table, today=today, day_first=self.day_first, decimal_comma=source.decimal_comma
            )
            if checked.good.num_rows:
                numbers = pa.array(chunk.numbers[checked.good_rows], pa.int64())
                loads.copy_stage(self.db, connection, checked.good.add_column(0, "row_number", numbers))
            refused = list(chunk.broken)
            if checked.bad_rows.size:
                places = chunk.numbers[checked.bad_rows].tolist()
                refused += zip(places, chunk.raw(checked.bad_rows), checked.reasons, strict=True)
            if refused:
                loads.copy_quarantine(connection, batch, refused)
                reasons.update(reason for _, _, reason in refused)
            result.rows += chunk.rows.num_rows + len(chunk.broken)
            on_progress(
                f"{table.name}: reading",
                min(chunk.position, source.size),
                source.size,
                rows=result.rows,
                refused=sum(reasons.values()),
            )
        result.quarantined = dict(reasons.most_common())

    def _reject(self, connection: Connection, batch: int, result: TableSummary) -> None:
        worst = next(iter(result.quarantined), "there is none")
        result.status = "rejected"
        result.reason = f"No row of {result.source} can be used: {worst}."
        if worst.startswith(("date_id is not a day like 2024", "date_id is not a day like 31")):
            other = "without" if self.day_first else "with"
            result.reason += f" If its days are written another way, load it {other} --day-first."
        self.db.execute("load_trim_quarantine", connection=connection, batch=batch, keep=REJECTED_ROWS_KEPT)
        self._close(connection, batch, result, rows_ok=0)

    def _gate(self, connection: Connection, table: Table, result: TableSummary) -> str | None:
        """Why the batch looks wrong as a whole; None when it does not, or when it is the table's first."""
        if not loads.has_rows(connection, table.name):
            if table.name == "sales_daily":
                return self._too_many_categories(connection)
            return None
        if result.refused > HELD_SHARE * result.rows:
            worst = next(iter(result.quarantined))
            return f"{result.refused} of {result.rows} rows would go to quarantine (most: {worst})"
        if table.name != "sales_daily":
            return None
        past = self.db.frame("load_gate", connection=connection)
        batch = loads.stage_days(connection)
        window = {"first": past["day"].iloc[-1], "last": batch["day"].iloc[-1]}
        closed = self.db.frame("load_closed_days", connection=connection, **window)
        reason, warnings = judge_days(past, batch, closed["day"])
        result.notes.extend(warnings)
        return reason or self._too_many_categories(connection)

    def _too_many_categories(self, connection: Connection) -> str | None:
        count = loads.stage_categories(connection)
        if count <= MOST_CATEGORIES:
            return None
        return f"it would make {count} product categories, the limit is {MOST_CATEGORIES}"

    def _close(
        self, connection: Connection, batch: int, result: TableSummary, *, rows_ok: int, accepted_by: str | None = None
    ) -> None:
        result.batch = batch
        self.db.execute(
            "load_close_batch",
            connection=connection,
            batch=batch,
            status=result.status,
            sha256_stays=self.by_content or result.status != "merged",
            reason=result.reason,
            accepted_by=accepted_by,
            first_day=result.first_day,
            last_day=result.last_day,
            rows_in=result.rows,
            rows_ok=rows_ok,
            rows_new=result.new,
            rows_changed=result.changed,
            rows_quarantined=result.refused,
        )
        if accepted_by is not None:
            self.db.execute(
                "audit_add",
                connection=connection,
                actor=accepted_by,
                action="accept batch",
                object=f"load_batch {batch}",
                after={"table": result.table, "source": result.source, "reason": result.reason, "rows": rows_ok},
            )


def _shape(table: Table, source: Source) -> loads.Shape:
    """The columns to stage. Key columns the source lacks are staged as ``''``, which is their default."""
    kinds: dict[str, str] = {}
    for column in table.columns:
        if column.name in source.columns or column.name in table.key:
            kinds[column.name] = column.kind
    if table.attributes is not None and source.ignored:
        kinds[table.attributes] = "json"
    return loads.Shape(table.name, table.key, kinds)


def _raw_of(source: Source, numbers: Sequence[int]) -> list[tuple[int, bytes, str]]:
    """The raw rows of these numbers, read once more from the source."""
    wanted = np.sort(np.asarray(numbers, dtype=np.int64))
    found: list[tuple[int, bytes, str]] = []
    for chunk in source.chunks():
        chosen = np.flatnonzero(np.isin(chunk.numbers, wanted))
        if chosen.size:
            places = chunk.numbers[chosen].tolist()
            found.extend((place, raw, CONTRADICTING) for place, raw in zip(places, chunk.raw(chosen), strict=True))
    return found


def judge_days(
    past: pd.DataFrame, batch: pd.DataFrame, closed: Sequence[object] | pd.Series = ()
) -> tuple[str | None, list[str]]:
    """Why the new days of a batch look wrong, and warnings that hold nothing.

    ``past`` and ``batch`` have day, rows, units. A new day is one after the last of ``past``. It looks wrong when it
    has fewer than half of the rows its weekday had in the last eight weeks (the median), a gap being a day without any,
    unless it is one of the ``closed`` days. A day whose units lie more than 6 median absolute deviations from its
    weekday's median is worth a warning.
    """
    if past.empty or batch.empty:
        return None, []
    before = past.assign(day=pd.to_datetime(past["day"])).set_index("day")
    new = batch.assign(day=pd.to_datetime(batch["day"])).set_index("day")
    last = before.index.max()
    new = new[new.index > last]
    if new.empty:
        return None, []
    days = pd.date_range(last + timedelta(days=1), new.index.max(), freq="D").difference(pd.DatetimeIndex(closed))
    warnings: list[str] = []
    for day in days:
        newest = last - timedelta(days=int((last.day_of_week - day.day_of_week) % 7))
        same = [newest - timedelta(weeks=week) for week in range(8)]
        known = [date_ for date_ in same if date_ >= before.index.min()]
        if not known:
            continue
        rows = before["rows"].reindex(known).fillna(0).to_numpy(dtype=float)
        usual = float(np.median(rows))
        have = float(new["rows"].get(day, 0))
        if have == 0 and usual > 0:
            return f"{day:%Y-%m-%d} has no rows, its weekday usually has {usual:.0f}", warnings
        if have < HELD_ROWS * usual:
            return f"{day:%Y-%m-%d} has {have:.0f} rows, its weekday usually has {usual:.0f}", warnings
        units = before["units"].reindex(known).dropna().to_numpy(dtype=float)
        if units.size >= 4 and day in new.index:
            centre = float(np.median(units))
            spread = 1.4826 * float(np.median(np.abs(units - centre)))
            got = float(new["units"].loc[day])
            if spread > 0 and abs(got - centre) > WARN_MADS * spread:
                warnings.append(f"{day:%Y-%m-%d} has {got:.0f} units, its weekday usually has {centre:.0f}")
    return None, warnings[:5]
