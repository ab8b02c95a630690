"""The customer's own tables, read and never touched: no key, no index and no right but SELECT is needed.

Names of tables and columns come from settings and are always quoted as identifiers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import IO, Any

import pandas as pd
from psycopg2 import sql
from sqlalchemy import NullPool, create_engine

from trendcast.errors import NotConfigured
from trendcast.store.engine import mapped_errors, normalise_url, raw_errors


@dataclass(frozen=True)
class SourceTable:
    """A table of the customer's: ``columns`` maps our names to theirs, ``day`` is ours for the day of a row."""

    name: str
    columns: Mapping[str, str]
    day: str
    day_is_text: bool

    def _identifier(self) -> sql.Identifier:
        return sql.Identifier(*_parts(self.name))

    def _day(self) -> sql.Composed:
        """The day as text, '' for none; a date kept as text is cut to its first ten characters."""
        column = sql.Identifier(self.columns[self.day])
        shape = "coalesce(left({}, 10), '')" if self.day_is_text else "coalesce(to_char({}, 'YYYY-MM-DD'), '')"
        return sql.SQL(shape).format(column)

    def _within(self, first: str | None, last: str | None) -> sql.Composed:
        """The condition on a row's day, in a form an index on a date can serve; rows without a day are within."""
        column = self._day() if self.day_is_text else sql.Identifier(self.columns[self.day])
        parts = [sql.SQL("TRUE")]
        if first is not None:
            parts.append(sql.SQL("{} >= {}").format(column, sql.Literal(first)))
        if last is not None:
            bound = sql.SQL("{} <= {}" if self.day_is_text else "{} < CAST({} AS date) + 1")
            parts.append(bound.format(column, sql.Literal(last)))
        nothing = sql.SQL("{} = ''" if self.day_is_text else "{} IS NULL").format(column)
        return sql.SQL("({} OR {})").format(sql.SQL(" AND ").join(parts), nothing)


class Snapshot:
    """One read-only transaction on the source: everything read through it shows the same moment."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with closing(self._connection.cursor()) as cursor, raw_errors():
            yield cursor

    def columns(self, table: str) -> dict[str, str]:
        """Column -> type of a table or view; empty when there is none of that name that we may see."""
        with self._cursor() as cursor:
            cursor.execute(
                "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a "
                "WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
                (".".join('"' + part.replace('"', '""') + '"' for part in _parts(table)),),
            )
            return dict(cursor.fetchall())

    def days(self, table: SourceTable, since: str | None) -> pd.DataFrame:
        """Per day (from ``since`` on, and rows without a day): day, rows and a mark of the content of our columns.

        The mark is the sum of the rows' hashes, so the order of the rows does not matter and a row twice does.
        """
        used = sql.SQL(", ").join(sql.Identifier(name) for name in table.columns.values())
        query = sql.SQL(
            "SELECT {day} AS day, count(*), sum(hashtextextended(CAST(ROW({used}) AS text), 0))::text FROM {table}"
        ).format(day=table._day(), used=used, table=table._identifier())
        if since is not None:
            query += sql.SQL(" WHERE ") + table._within(since, None)
        with self._cursor() as cursor:
            cursor.execute(query + sql.SQL(" GROUP BY 1 ORDER BY 1"))
            return pd.DataFrame(cursor.fetchall(), columns=["day", "rows", "mark"])

    def export(self, table: SourceTable, days: Sequence[str], file: IO[bytes]) -> None:
        """The rows of these days as CSV under our names of the columns."""
        chosen = sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(sql.Identifier(theirs), sql.Identifier(ours))
            for ours, theirs in table.columns.items()
        )
        known = sorted(day for day in days if day)
        query = sql.SQL(
            "COPY (SELECT {chosen} FROM {table} WHERE {within} AND {day} = ANY({days})) TO STDOUT (FORMAT csv, HEADER)"
        )
        with self._cursor() as cursor:
            composed = query.format(
                chosen=chosen,
                table=table._identifier(),
                within=table._within(known[0], known[-1]) if known else sql.SQL("TRUE"),
                day=table._day(),
                days=sql.Literal(list(days)),
            )
            cursor.copy_expert(composed.as_string(cursor), file)


@contextmanager
def snapshot(url: str) -> Iterator[Snapshot]:
    """A read-only REPEATABLE READ transaction on the database at ``url``."""
    parsed = normalise_url(url)
    given = parsed.query.get("options", "")
    options = " ".join(
        [
            *([given] if isinstance(given, str) else given),
            "-c default_transaction_read_only=on -c statement_timeout=900000 -c timezone=UTC -c datestyle=ISO",
        ]
    )
    engine = create_engine(
        parsed.difference_update_query(["options"]),
        poolclass=NullPool,
        isolation_level="REPEATABLE READ",
        connect_args={"connect_timeout": 5, "application_name": "trendcast-sync", "options": options.strip()},
    )
    with mapped_errors(), engine.connect() as connection, connection.begin():
        yield Snapshot(connection.connection)


def _parts(table: str) -> tuple[str, ...]:
    """``schema.table`` as its parts; without a schema it is ``public``."""
    parts = tuple(part.strip() for part in table.split("."))
    if len(parts) > 2 or not all(parts):
        raise NotConfigured(f"'{table}' is not the name of a table: write schema.table.")
    return parts if len(parts) == 2 else ("public", parts[0])
