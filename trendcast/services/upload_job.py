"""Upload by a worker, for pages whose database role may not write facts: the file that was looked at and how it is read
wait beside the job, and the worker loads them with the checks and the merge of any upload.

A file whose batch is held is kept for a week, so that it can be accepted without being sent again.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from trendcast.errors import Conflict, InvalidInput, NotFound
from trendcast.services import jobs, upload
from trendcast.services.load import LoadSummary, TableSummary
from trendcast.services.people import Person, require
from trendcast.services.progress import Progress
from trendcast.services.upload_cells import MOST_BYTES, Cells, read

if TYPE_CHECKING:
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database

TABLE = "sales_daily"


def needed(db: Database) -> bool:
    """Whether this process may not load facts itself."""
    return not db.rows("load_allowed")[0]["allowed"]


def leave(db: Database, cells: Cells, data: bytes, reading: upload.Reading, *, person: Person) -> int:
    """Hand a file (``data``, as it came) that was looked at to a worker; the number of its job. File and job are
    written in one transaction. Raises NotAllowed for less than a planner, InvalidInput for more than 50 MB."""
    from trendcast.store import jobs as store_jobs

    require(person, "planner")
    if len(data) > MOST_BYTES:
        raise InvalidInput(f"{cells.name} is larger than {MOST_BYTES // 1024**2} MB.")
    packed = base64.b64encode(zlib.compress(data, 1)).decode()
    kept = json.dumps({"file": packed, "sheet": cells.sheet, "reading": reading.as_dict()})

    def keep(connection: Any) -> int:
        db.rows("upload_patience", connection=connection)
        row = {"table": TABLE, "rows": kept, "accept": False, "who": person.name}
        waiting = db.rows("push_wait", connection=connection, **row)[0]["id"]
        return store_jobs.enqueue(db, connection, "upload", _order(waiting, cells.name, person))

    return db.run_tx(keep)


def accept(db: Database, slot_id: int, *, person: Person) -> int:
    """Ask for a file whose batch is held to be merged all the same, in the name of ``person``; the number of the new
    job. Raises NotFound, Conflict when it is not held, NotAllowed for less than a planner."""
    require(person, "planner")
    slot = jobs.slot(db, slot_id)
    if slot["name"] != "upload" or slot["state"] != "done" or told(slot)["table"].status != "held":
        raise Conflict("This file is not held.")
    known = slot["arguments"]
    return jobs.enqueue(db, "upload", {**_order(known["waiting"], known["file"], person), "accept": True})


def _order(waiting: int, file: str, person: Person) -> dict[str, Any]:
    return {"waiting": waiting, "table": TABLE, "file": file, "who": person.name, "role": person.role}


def newest(db: Database, who: str) -> dict[str, Any] | None:
    """The job of the file that this person handed over last, in the last day; None when there is none."""
    found = db.rows("upload_newest", who=who)
    return jobs.slot(db, found[0]["id"]) if found else None


def told(slot: Mapping[str, Any]) -> dict[str, Any]:
    """What became of a file that was loaded: ``table`` (TableSummary), ``replaced_demo``, and ``slot``, the refresh
    that follows (None: there is nothing new)."""
    result = slot["progress"]["result"]
    table = dict(result["table"])
    for name in ("first_day", "last_day"):
        table[name] = date.fromisoformat(table[name]) if table[name] else None
    return {**result, "table": TableSummary(**table)}


def load(
    db: Database,
    clock: Clock,
    progress: Progress,
    token: str,
    *,
    waiting: int,
    table: str,
    file: str,
    who: str,
    role: str,
    accept: bool = False,
) -> dict[str, Any]:
    """The job: load a file that was left, and ask for the refresh that follows. It ends in the transaction that merges
    the rows. Raises NotAllowed, NotFound, and LeaseLost when another worker took over."""
    from trendcast.store import jobs as store_jobs

    require(Person(who, role), "planner")
    kept = db.rows("push_read", id=waiting)
    if not kept:
        raise NotFound(f"{file} is no longer kept: upload it again.")
    known = json.loads(kept[0]["rows"])
    data = zlib.decompressobj().decompress(base64.b64decode(known["file"]), MOST_BYTES + 1)
    cells = read(file, data, known["sheet"])
    reading = upload.Reading.from_dict(known["reading"])
    result: dict[str, Any] = {}

    def done(connection: Any, summary: LoadSummary) -> None:
        found = summary.table(TABLE)
        days = {"first_day": found.first_day, "last_day": found.last_day}
        stated = {**asdict(found), **{name: day.isoformat() if day else None for name, day in days.items()}}
        refresh = jobs.waiting_or_new(db, connection, "refresh", {}) if summary.brought_data else None
        result.update(table=stated, replaced_demo=summary.replaced_demo, slot=refresh)
        store_jobs.finish_with(db, connection, token, result)
        if found.status != "held":
            db.execute("push_done", connection=connection, id=waiting)

    parsed = upload.table(cells, reading)
    how: dict[str, Any] = {"accept": accept, "who": who, "on_progress": progress, "clock": clock, "at_end": done}
    upload.load(db, cells, reading, parsed, **how)
    return result
