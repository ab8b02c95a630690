"""Push: rows that another system sends, loaded as files are: the same checks, quarantine, gate, merge and history.

A body is a table: its columns are the fields that any of its rows has, and a row without one of them has nothing there.
What is not of the described shape is refused as a whole; a row whose values cannot be used goes to quarantine, and the
others load. A process that may not write facts keeps the rows for a worker.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from trendcast.errors import InvalidInput, NotFound
from trendcast.services import jobs
from trendcast.services.load import Loader, LoadSummary, TableSummary
from trendcast.services.names import nearest
from trendcast.services.progress import Progress, silent
from trendcast.services.sources import Chunk
from trendcast.services.tables import TABLES, Table, shown

if TYPE_CHECKING:
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database

MOST_ROWS = 10_000
FIRST_REFUSED = 20  # quarantined rows an answer names
PATIENCE = 20  # seconds to wait for a load that is at work

Value = str | bool | int | float | None
Row = Mapping[str, Value | Mapping[str, Value]]


@dataclass(frozen=True)
class Pushed:
    """What became of the rows. ``rows_in`` = new + changed + unchanged + repeated + quarantined; ``batch_id`` None:
    nothing was kept of it. ``refused``: the first rows in quarantine, with their number (from 1) and reason."""

    table: str
    status: str  # merged, held, rejected
    batch_id: int | None
    rows_in: int
    new: int
    changed: int
    unchanged: int
    repeated: int
    quarantined: int
    reasons: dict[str, int] = field(default_factory=dict)
    refused: list[dict[str, Any]] = field(default_factory=list)
    reason: str | None = None
    notes: list[str] = field(default_factory=list)
    first_day: str | None = None
    last_day: str | None = None
    replaced_demo: bool = False
    dry_run: bool = False

    @property
    def merged(self) -> int:
        return self.new + self.changed


class RowsSource:
    """Rows in memory, each a mapping of fields; raises InvalidInput for fields the table does not have and for required
    ones no row has."""

    def __init__(self, table: Table, rows: Sequence[Row]) -> None:
        self.name = "the request"
        self.table = table
        self.size = len(rows)
        self.ignored: tuple[str, ...] = ()
        self.decimal_comma = False
        self._rows = rows
        present = dict.fromkeys(name for row in rows for name in row)
        self._free = table.attributes if table.attributes in present else None
        if self._free is not None:
            self.ignored = (self._free,)
        unknown = [name for name in present if name not in table.names and name != table.attributes]
        if unknown:
            near = nearest(unknown[0], table.names, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise InvalidInput(f"{table.name} has no field {shown(unknown[0])}.{hint} It has {', '.join(table.names)}.")
        missing = [name for name in table.required if name not in present]
        if missing:
            raise InvalidInput(f"No row has {' and '.join(missing)}, which {table.name} needs.")
        for number, row in enumerate(rows, 1):
            for name, value in row.items():
                if isinstance(value, Mapping) != (name == table.attributes):
                    kind = "an object of names and values" if name == table.attributes else "one value"
                    raise InvalidInput(f"{name} of row {number} is not {kind}.")
        self.columns = tuple(name for name in table.names if name in present)
        self._broken = {place: wrong for place, row in enumerate(rows) if (wrong := _not_unicode(row)) is not None}
        canonical = json.dumps([table.name, list(rows)], sort_keys=True)
        self.sha256: str | None = hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def has_rows(self) -> bool:
        return self.size > 0

    def chunks(self) -> Iterator[Chunk]:
        places = np.array([place for place in range(self.size) if place not in self._broken], dtype=np.int64)
        rows = [self._rows[int(place)] for place in places]
        columns = {
            name: pa.array([_text(row.get(name)) for row in rows], pa.string())  # type: ignore[arg-type]
            for name in self.columns
        }
        if self._free is not None:
            columns[self._free] = pa.array([_attributes(row.get(self._free) or {}) for row in rows], pa.string())
        broken = [(place + 1, _raw(self._rows[place]), f"{name} is not text") for place, name in self._broken.items()]
        yield Chunk(
            pa.table(columns), places + 1, lambda chosen: [_raw(rows[int(one)]) for one in chosen], broken, self.size
        )


def _raw(row: Row) -> bytes:
    """The row as it came, for quarantine: NUL and what is no Unicode stay escaped."""
    try:
        return json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(row).encode()


def _not_unicode(row: Row) -> str | None:
    """The first field with half of a surrogate pair, which JSON can write and no text can hold; None: all are text."""
    for name, value in row.items():
        inside = (*value.keys(), *value.values()) if isinstance(value, Mapping) else (value,)
        for one in inside:
            if isinstance(one, str) and not one.isascii():
                try:
                    one.encode()
                except UnicodeEncodeError:
                    return name
    return None


def _text(value: Value) -> str | None:
    """A value as a file would have it, so that each is judged like one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if value is None or isinstance(value, str) else repr(value)


def _attributes(values: Any) -> str:
    given = {str(name).replace("\x00", ""): _text(value) for name, value in values.items() if value not in (None, "")}
    return json.dumps({name: str(value).replace("\x00", "") for name, value in given.items()}, ensure_ascii=False)


def table_named(name: str) -> Table:
    """The table of the contract. Raises NotFound with the nearest names."""
    if name not in TABLES:
        raise NotFound(f"There is no table {shown(name)}: there are {', '.join(TABLES)}.", nearest(name, TABLES))
    return TABLES[name]


def checked(table: str, rows: Sequence[Row]) -> RowsSource:
    """The rows as a source. Raises NotFound for a table there is not, InvalidInput for rows of another shape."""
    if not 1 <= len(rows) <= MOST_ROWS:
        raise InvalidInput(f"A request holds 1 to {MOST_ROWS:,} rows: send more in parts.")
    return RowsSource(table_named(table), rows)


def push(
    db: Database,
    clock: Clock,
    table: str,
    rows: Sequence[Row],
    *,
    who: str,
    accept: bool = False,
    dry_run: bool = False,
    on_progress: Progress = silent,
    patience: int = PATIENCE,
    at_end: Callable[[Any, Pushed], None] | None = None,
) -> Pushed:
    """Load the rows now. ``accept`` merges what would be held, in the name of ``who``; ``patience``: seconds to wait
    for another load; ``at_end`` is called in the transaction, with its connection and what became of the rows. Raises
    NotFound, InvalidInput, NoRight where this process may not write facts, and DatabaseAway when the other load takes
    longer."""
    source = checked(table, rows)
    summary = LoadSummary()
    # A value that is put back makes the same content as its first coming: what was sent before is compared anew.
    loader = Loader(db, accept=accept, dry_run=dry_run, actor=who, clock=clock, by_content=False, patience=patience)

    def became(result: TableSummary, connection: Any = None) -> Pushed:
        refused: list[dict[str, Any]] = []
        if result.refused and result.batch is not None:
            known = {"batch": result.batch, "limit": FIRST_REFUSED}
            refused = [dict(row) for row in db.rows("push_refused", connection=connection, **known)]
        return _pushed(result, summary, refused, dry_run)

    if at_end is not None:
        loader.at_end = lambda connection, result: at_end(connection, became(result, connection))
    return became(loader.load(source.table, source, f"push {who}", summary, on_progress))


def _pushed(result: TableSummary, summary: LoadSummary, refused: list[dict[str, Any]], dry_run: bool) -> Pushed:
    return Pushed(
        table=result.table,
        status=result.status,
        batch_id=result.batch,
        rows_in=result.rows,
        new=result.new,
        changed=result.changed,
        unchanged=result.unchanged,
        repeated=result.repeated,
        quarantined=result.refused,
        reasons=result.quarantined,
        refused=refused,
        reason=result.reason,
        notes=result.notes,
        first_day=result.first_day.isoformat() if result.first_day else None,
        last_day=result.last_day.isoformat() if result.last_day else None,
        replaced_demo=summary.replaced_demo,
        dry_run=dry_run,
    )


def leave(db: Database, table: str, rows: Sequence[Row], *, who: str, accept: bool = False) -> int:
    """Keep the rows for a worker; the number of its job, to ask for with ``left``. Raises as ``checked`` does."""
    from trendcast.store import jobs as store_jobs

    checked(table, rows)
    text = json.dumps(list(rows))

    def keep(connection: Any) -> int:
        kept = db.rows("push_wait", connection=connection, table=table, rows=text, accept=accept, who=who)[0]["id"]
        return store_jobs.enqueue(db, connection, "push", {"waiting": kept, "table": table})

    return db.run_tx(keep)


def awaited(db: Database, table: str) -> bool:
    """Whether rows of this table were left and are not loaded yet: what comes now is loaded after them."""
    return bool(db.rows("push_open", table=table)[0]["open"])


def left(db: Database, table: str, number: int) -> dict[str, Any]:
    """The job that ``leave`` made: state, error, result (None before it is done). Raises NotFound."""
    return told(jobs.slot(db, number), table)


def told(slot: Mapping[str, Any], table: str) -> dict[str, Any]:
    """What became of rows that were left to a worker. Raises NotFound."""
    if slot["name"] != "push" or slot["arguments"].get("table") != table:
        raise NotFound(f"There is no request {slot['id']} with rows of {shown(table)}.")
    found = jobs.outcome(slot)
    return {**found, "result": Pushed(**found["result"]) if found["result"] else None}


def load_waiting(
    db: Database, clock: Clock, progress: Progress, token: str, *, waiting: int, table: str
) -> dict[str, Any]:
    """The job: load rows that were left. It ends in the transaction that merges them, so that they are never loaded
    again over what came later. Raises LeaseLost when another worker took over."""
    from trendcast.store import jobs as store_jobs

    kept = db.rows("push_read", id=waiting)
    if not kept:
        raise NotFound(f"The rows of {table} that were to be loaded are no longer there.")
    how = {"who": kept[0]["who"], "accept": kept[0]["accept"]}

    def done(connection: Any, found: Pushed) -> None:
        store_jobs.finish_with(db, connection, token, asdict(found))
        db.execute("push_done", connection=connection, id=waiting)

    rows = json.loads(kept[0]["rows"])
    return asdict(push(db, clock, table, rows, on_progress=progress, patience=600, at_end=done, **how))
