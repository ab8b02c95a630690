"""The SQL of loading: batches, the staging table, duplicates, quarantine, the merge with its history, the gate.

All of it runs in the caller's transaction, so a load that fails leaves nothing. Statements are composed from the names
of the data contract as quoted identifiers, never from text that came with the data.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
from psycopg2 import extensions, sql
from sqlalchemy import Connection

from trendcast.store import silence
from trendcast.store.engine import Database, mapped_errors, raw_errors
from trendcast.store.locks import LOAD

STAGE = "load_stage"
PATIENCE = 1800  # seconds a statement of a load may take

# What a staged column is, by the kind the data contract gives it.
_TYPES = {
    "date": "date",
    "name": "text",
    "text": "text",
    "number": "double precision",
    "whole": "bigint",
    "flag": "boolean",
    "json": "jsonb",
}


class _Watched(extensions.cursor):
    """The driver's cursor, which waits for no lost answer."""

    def execute(self, *what: Any) -> None:
        with silence.watching(self.connection, PATIENCE):
            super().execute(*what)

    def copy_expert(self, *what: Any) -> None:
        with silence.watching(self.connection, PATIENCE):
            super().copy_expert(*what)


@contextmanager
def _cursor(connection: Connection) -> Iterator[Any]:
    with mapped_errors(), closing(connection.connection.cursor(cursor_factory=_Watched)) as cursor, raw_errors():
        yield cursor


def _names(columns: Iterable[str], alias: str | None = None) -> sql.Composed:
    parts = (sql.Identifier(alias, name) if alias else sql.Identifier(name) for name in columns)
    return sql.SQL(", ").join(parts)


def _same_key(key: Sequence[str], left: str, right: str) -> sql.Composed:
    return sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(left, name), sql.Identifier(right, name)) for name in key
    )


@dataclass(frozen=True)
class Shape:
    """What is loaded: the table, its key, and the columns the source has, with their kinds."""

    table: str
    key: tuple[str, ...]
    kinds: dict[str, str]  # column -> kind of the data contract

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.kinds)

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(name for name in self.kinds if name not in self.key)


def begin(connection: Connection, patience: int = 600) -> None:
    """Take the lock that lets one merge run at a time, and give the transaction the time and memory a load may take.
    After ``patience`` seconds of waiting for another merge it is DatabaseAway."""
    silence.patient(connection.connection.driver_connection, PATIENCE)
    with _cursor(connection) as cursor:
        # store.silence reads the time out of the words set_config('statement_timeout', 'N', true): keep them so.
        cursor.execute(
            "SELECT set_config('statement_timeout', '1800000', true), set_config('lock_timeout', %s, true),"
            " set_config('work_mem', '128MB', true), set_config('idle_in_transaction_session_timeout', '600000', true)",
            (str(1000 * patience),),
        )
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOAD,))


def open_batch(connection: Connection, *, source: str, table: str, sha256: str | None) -> int:
    """A batch of the table under way; it counts only once ``close_batch`` says what became of it."""
    with _cursor(connection) as cursor:
        cursor.execute(
            "INSERT INTO load_batch (source, table_name, sha256, status) VALUES (%s, %s, %s, 'rejected') RETURNING id",
            (source, table, sha256),
        )
        return int(cursor.fetchone()[0])


def create_stage(connection: Connection, shape: Shape) -> None:
    """An empty staging table with the source's columns and the number of each row."""
    definitions = [sql.SQL("row_number bigint NOT NULL")] + [
        # A key column the source has not is '' there.
        sql.SQL("{} {} {}").format(
            sql.Identifier(name), sql.SQL(_TYPES[kind]), sql.SQL("NOT NULL DEFAULT ''" if kind == "name" else "")
        )
        for name, kind in shape.kinds.items()
    ]
    with _cursor(connection) as cursor:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS pg_temp.{}").format(sql.Identifier(STAGE)))
        cursor.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DROP").format(
                sql.Identifier(STAGE), sql.SQL(", ").join(definitions)
            )
        )


def copy_stage(db: Database, connection: Connection, rows: pa.Table) -> None:
    """Add rows (with their ``row_number``) to the staging table."""
    db.copy_in(connection, STAGE, rows.column_names, rows)


def copy_quarantine(connection: Connection, batch: int, refused: Sequence[tuple[int, bytes, str]]) -> None:
    """Keep refused rows: row number, the row as it came, the reason."""
    buffer = io.StringIO()
    for number, raw, reason in refused:
        # COPY's text format; the reasons are our own words, the raw row is hexadecimal.
        buffer.write(f"{batch}\t{number}\t\\\\x{raw.hex()}\t{reason}\n")
    buffer.seek(0)
    with _cursor(connection) as cursor:
        cursor.copy_expert("COPY quarantine (batch_id, row_number, raw, reason) FROM STDIN", buffer)


def analyze_stage(connection: Connection) -> None:
    """Let the planner know what the stage holds."""
    with _cursor(connection) as cursor:
        cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(STAGE)))


def settle_duplicates(connection: Connection, shape: Shape) -> tuple[int, list[int]]:
    """Collapse equal rows of a key to the first, take all rows of a key with different values out of the stage.

    Returns how many rows were collapsed, and the row numbers of the contradicting ones.
    """
    key, stage = _names(shape.key), sql.Identifier(STAGE)
    values = sql.SQL(", ").join([sql.SQL("0"), *(sql.Identifier("s", name) for name in shape.values)])
    with _cursor(connection) as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.load_twice")
        cursor.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE load_twice ON COMMIT DROP AS "
                "SELECT {key}, min(row_number) AS first_row FROM {stage} GROUP BY {key} HAVING count(*) > 1"
            ).format(key=key, stage=stage)
        )
        if cursor.rowcount == 0:
            return 0, []
        cursor.execute("ANALYZE load_twice")
        cursor.execute(
            sql.SQL(
                "DELETE FROM {stage} s USING ("
                "  SELECT {skey} FROM {stage} s JOIN load_twice d ON {same} GROUP BY {skey}"
                "  HAVING count(DISTINCT ROW({values})) > 1) d WHERE {same} RETURNING s.row_number"
            ).format(stage=stage, skey=_names(shape.key, "s"), same=_same_key(shape.key, "s", "d"), values=values)
        )
        contradicting = [int(row[0]) for row in cursor.fetchall()]
        cursor.execute(
            sql.SQL("DELETE FROM {stage} s USING load_twice d WHERE {same} AND s.row_number > d.first_row").format(
                stage=stage, same=_same_key(shape.key, "s", "d")
            )
        )
        return cursor.rowcount, contradicting


@dataclass(frozen=True)
class Merged:
    """How many rows a merge added, replaced and left as they were."""

    new: int
    changed: int
    unchanged: int


def merge(connection: Connection, shape: Shape, batch: int) -> Merged:
    """The stage's rows into their table. Rows equal to what is there are not rewritten; replaced ones go to history.

    Only columns the source has are compared and written, so a file without prices takes no prices away.
    """
    table, stage = sql.Identifier(shape.table), sql.Identifier(STAGE)
    key, columns = _names(shape.key), _names(shape.columns)
    same = _same_key(shape.key, "s", "t")
    differs = sql.SQL("ROW({}) IS DISTINCT FROM ROW({})").format(
        sql.SQL(", ").join([sql.SQL("0"), *(sql.Identifier("t", name) for name in shape.values)]),
        sql.SQL(", ").join([sql.SQL("0"), *(sql.Identifier("s", name) for name in shape.values)]),
    )
    with _cursor(connection) as cursor:
        unchanged = changed = 0
        if has_rows(connection, shape.table):
            cursor.execute(
                sql.SQL("DELETE FROM {stage} s USING {table} t WHERE {same} AND NOT ({differs})").format(
                    stage=stage, table=table, same=same, differs=differs
                )
            )
            unchanged = cursor.rowcount
            pairs = sql.SQL(", ").join(
                sql.SQL("{}, {}").format(sql.Literal(name), sql.Identifier("t", name)) for name in shape.key
            )
            cursor.execute(
                sql.SQL(
                    "INSERT INTO fact_history (table_name, row_key, old_row, replaced_by) "
                    "SELECT {name}, jsonb_build_object({pairs}), to_jsonb(t), {batch} "
                    "FROM {stage} s JOIN {table} t ON {same}"
                ).format(
                    name=sql.Literal(shape.table),
                    pairs=pairs,
                    batch=sql.Literal(batch),
                    stage=stage,
                    table=table,
                    same=same,
                )
            )
            changed = cursor.rowcount
        # In the order of the key: the primary key's pages are then filled one after the other.
        settings = sql.SQL(", ").join(
            sql.SQL("{name} = excluded.{name}").format(name=sql.Identifier(name))
            for name in (*shape.values, "batch_id")
        )
        cursor.execute(
            sql.SQL(
                "INSERT INTO {table} ({columns}, batch_id) SELECT {columns}, {batch} FROM {stage} ORDER BY {key} "
                "ON CONFLICT ({key}) DO UPDATE SET {settings}"
            ).format(table=table, columns=columns, batch=sql.Literal(batch), stage=stage, key=key, settings=settings)
        )
        return Merged(new=cursor.rowcount - changed, changed=changed, unchanged=unchanged)


def analyze(connection: Connection, table: str) -> None:
    """Fresh statistics: the planner must not take a table of a million rows for an empty one."""
    with _cursor(connection) as cursor:
        cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))


def has_rows(connection: Connection, table: str) -> bool:
    """Whether a table has any row."""
    with _cursor(connection) as cursor:
        cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table)))
        return bool(cursor.fetchone()[0])


def stage_days(connection: Connection) -> pd.DataFrame:
    """The staged sales by day: day, rows, units."""
    with _cursor(connection) as cursor:
        cursor.execute(
            sql.SQL("SELECT date_id, count(*), sum(sales_units) FROM {} GROUP BY 1 ORDER BY 1").format(
                sql.Identifier(STAGE)
            )
        )
        return pd.DataFrame(cursor.fetchall(), columns=["day", "rows", "units"])


def stage_range(connection: Connection, day: str) -> tuple[Any, Any]:
    """First and last day of the staged rows; None, None without a day."""
    with _cursor(connection) as cursor:
        cursor.execute(
            sql.SQL("SELECT min({day}), max({day}) FROM {stage}").format(
                day=sql.Identifier(day), stage=sql.Identifier(STAGE)
            )
        )
        first, last = cursor.fetchone()
        return first, last


def stage_categories(connection: Connection) -> int:
    """How many categories the sales would have after the merge; 0 when none of the staged ones is new."""
    with _cursor(connection) as cursor:
        # Most batches bring no new one, and this asks the index; counting all reads the whole table.
        cursor.execute(
            sql.SQL(
                "SELECT EXISTS (SELECT FROM (SELECT DISTINCT product_category FROM {}) s WHERE NOT EXISTS "
                "(SELECT FROM sales_daily t WHERE t.product_category = s.product_category))"
            ).format(sql.Identifier(STAGE))
        )
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(
            sql.SQL(
                "SELECT count(*) FROM "
                "(SELECT product_category FROM {} UNION SELECT product_category FROM sales_daily) AS together"
            ).format(sql.Identifier(STAGE))
        )
        return int(cursor.fetchone()[0])
