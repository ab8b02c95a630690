"""The one way to the database: an engine, named queries from sql/, frames with settled types, COPY both ways."""

from __future__ import annotations

import io
import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
from psycopg2 import sql as compose
from psycopg2.extras import Json
from sqlalchemy import Connection, bindparam, create_engine, text
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from trendcast import logs
from trendcast.errors import (
    Conflict,
    DatabaseAway,
    InvalidInput,
    NoRight,
    NotAllowed,
    NotConfigured,
    SchemaBehind,
    TrendCastError,
)
from trendcast.settings import Settings
from trendcast.store import embedded, silence

T = TypeVar("T")

SCHEMA = "trendcast"
SQL_FOLDER = Path(__file__).resolve().parents[2] / "sql"

# Values a query may name without its caller passing them: where the work comes from, and what may be left out.
AMBIENT: dict[str, Callable[[], str | None]] = {
    "request_id": logs.request_id.get,
    "request_address": logs.request_address.get,
    "before": lambda: None,
}

# Milliseconds a statement may take, by what the process does. A page must fail while someone still looks at it; the
# pulse is the one question that tells a process soon whether the database is there.
STATEMENT_TIMEOUT = {"web": 5_000, "pulse": 2_000, "worker": 900_000}

# Type numbers of PostgreSQL (pg_type.oid never changes for built-in types) by what a frame makes of them.
_DATES, _TIMES, _ZONED = {1082}, {1114}, {1184}
_WHOLE, _REAL, _BOOLEAN = {20, 21, 23, 26}, {700, 701, 1700}, {16}
_TEXT = {18, 19, 25, 1042, 1043, 2950, 705}


def normalise_url(url: str) -> URL:
    """The URL with the driver named: SQLAlchemy 2.1 looks for psycopg 3 behind a bare ``postgresql://``."""
    try:
        parsed = make_url(re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+psycopg2://", url.strip()))
    except (ArgumentError, ValueError) as error:
        shape = "postgresql://user:password@host:5432/name"  # pragma: allowlist secret
        raise NotConfigured(f"DATABASE_URL is not a database address: {shape}.") from error
    if parsed.drivername != "postgresql+psycopg2":
        raise NotConfigured(f"DATABASE_URL names '{parsed.drivername}'; TrendCast keeps its data in PostgreSQL only.")
    return parsed


class Database:
    """One per process, safe to share between threads; each call takes a connection of its own from the pool."""

    def __init__(
        self,
        url: str | URL,
        *,
        role: str = "web",
        server: embedded.Server | None = None,
        line: silence.Line | None = None,
    ) -> None:
        parsed = normalise_url(url) if isinstance(url, str) else url
        self.url = parsed.render_as_string(hide_password=False)
        self.role = role
        self.server = server
        self._shown = parsed.render_as_string(hide_password=True)
        self._engine = create_engine(
            parsed.difference_update_query(["options"]),
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=5,
            pool_timeout=5,
            pool_recycle=1800,
            connect_args=connect_arguments(parsed, role),
        )
        # A worker has time: it goes on trying to connect.
        self._line = silence.Line() if line is None and role == "web" else line
        silence.limit(self._engine, role, STATEMENT_TIMEOUT[role] / 1000, self._at_rest, self._line)

    @classmethod
    def open(cls, settings: Settings, *, role: str = "web", check_schema: bool = True) -> Self:
        """The database the settings name; with none named the embedded server, started and filled with our schema.

        Raises SchemaBehind when a database's schema is not this version's: only ``db upgrade`` changes it.
        """
        from trendcast.store import migrate

        if settings.database_url:
            database = cls(str(settings.database_url), role=role)
        else:
            server = embedded.start(Path(str(settings.home)))
            database = cls(server.url, role=role, server=server)
        try:
            if database.server is not None and migrate.current(database) is None:
                migrate.upgrade(database)
            if check_schema:
                migrate.check(database)
        except TrendCastError:
            database.close()
            raise
        return database

    def __repr__(self) -> str:
        return f"Database({self._shown}, role={self.role})"

    @property
    def embedded(self) -> bool:
        return self.server is not None

    @cached_property
    def pulse(self) -> Database:
        """The same database for the question whether it is there: behind nobody else's, and with short limits."""
        return Database(self.url, role="pulse", server=self.server, line=self._line)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only transaction that sees one state of the database from beginning to end."""
        with self._connection() as connection:
            connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that is committed at the end of the block and rolled back when the block raises."""
        with self._connection() as connection, connection.begin():
            yield connection

    def run_tx(self, fn: Callable[[Connection], T]) -> T:
        """``fn(connection)`` in a transaction; the whole of it again, at most three times in all, when the connection
        broke, another transaction was in the way, or both waited for each other. ``fn`` must bear being run twice."""
        for attempt in range(1, 4):
            try:
                with self.transaction() as connection:
                    return fn(connection)
            except TrendCastError as error:
                if attempt == 3 or not getattr(error, "transient", False):
                    raise
                time.sleep(random.uniform(0.2, 2.0))  # noqa: S311  jitter, not a secret
        raise AssertionError("unreachable")

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with mapped_errors():
            connection = self._connect()
            try:
                yield connection
            finally:
                connection.close()

    def _connect(self) -> Connection:
        if self._line is not None and self._line.silent:  # nor does a connection from the pool help
            raise _Transient(_AWAY)
        try:
            return self._engine.connect()
        except DBAPIError as error:
            # Nobody restarts the embedded server but us: a killed one comes back with the next call.
            if self.server is None or not as_trendcast(error).transient:
                raise
            self.server.ensure_running()
            return self._engine.connect()

    def frame(self, query: str, /, *, connection: Connection | None = None, **parameters: object) -> pd.DataFrame:
        """The rows of the named query (sql/QUERY.sql) with one type per kind everywhere: dates and times
        datetime64[us] (timestamps in UTC), text str, numbers int64 or, with nulls or fractions, float64."""
        with self._reading(connection) as using:
            result = using.execute(statement(query), bindable(parameters))
            kinds = [column[1] for column in result.cursor.description]
            return to_frame(list(result.keys()), kinds, result.fetchall())  # type: ignore[arg-type]

    def rows(
        self, query: str, /, *, connection: Connection | None = None, **parameters: object
    ) -> list[Mapping[str, Any]]:
        """The rows of the named query as mappings of Python values; in a transaction of the caller it may write."""
        with self._reading(connection) as using:
            result = using.execute(statement(query), bindable(parameters))
            return [dict(row) for row in result.mappings()] if result.returns_rows else []

    def execute(self, query: str, /, *, connection: Connection | None = None, **parameters: object) -> int:
        """Run the named query for its effect and return how many rows it touched."""
        if connection is None:
            with self.transaction() as own:
                return own.execute(statement(query), bindable(parameters)).rowcount
        with mapped_errors():
            return connection.execute(statement(query), bindable(parameters)).rowcount

    def copy_in(
        self,
        connection: Connection,
        table: str,
        columns: Sequence[str],
        source: IO[bytes] | pa.Table | pd.DataFrame,
        *,
        header: bool = False,
    ) -> int:
        """COPY the source into the columns of a table within the caller's transaction; returns the number of rows.

        A file is CSV as PostgreSQL reads it (empty is null, ``""`` is the empty text), its first line skipped with
        ``header``. In a frame NaN is null, except inside lists, which become arrays; mappings become json.
        """
        command = compose.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, HEADER {})").format(
            compose.Identifier(*table.split(".")),
            compose.SQL(", ").join(compose.Identifier(column) for column in columns),
            compose.Literal(header),
        )
        if isinstance(source, pd.DataFrame):
            source = arrow_table(source.loc[:, list(columns)])
        copied = 0
        with mapped_errors(), self._cursor(connection) as cursor:
            text_command = command.as_string(cursor)
            for buffer in _csv_buffers(source, columns) if isinstance(source, pa.Table) else [source]:
                with raw_errors(), silence.watching(cursor.connection, STATEMENT_TIMEOUT[self.role] / 1000):
                    cursor.copy_expert(text_command, buffer)
                copied += cursor.rowcount
        return copied

    def copy_out(self, query: str, /, *, connection: Connection | None = None, **parameters: object) -> pa.Table:
        """The rows of the named query through COPY and Arrow: the quick way for more than about 50,000 rows.

        Dates are date32, whole numbers int64, other numbers float64, timestamps timestamp[us, UTC], json text.
        """
        with self._reading(connection) as using:
            compiled = statement(query).compile(dialect=PGDialect_psycopg2())
            values = bindable(parameters)
            limit = silence.watching(using.connection.driver_connection, STATEMENT_TIMEOUT[self.role] / 1000)
            with self._cursor(using) as cursor, raw_errors(), limit:
                inner = cursor.mogrify(str(compiled), values).decode().rstrip().rstrip(";")
                cursor.execute(f"SELECT * FROM ({inner}\n) AS shape LIMIT 0")  # noqa: S608  # nosec B608: our own file, values bound
                kinds = {column.name: _arrow_type(column.type_code) for column in cursor.description}
                buffer = io.BytesIO()
                cursor.copy_expert(f"COPY ({inner}\n) TO STDOUT (FORMAT csv)", buffer)
        if buffer.tell() == 0:
            return pa.table({name: pa.array([], kind) for name, kind in kinds.items()})
        return pa_csv.read_csv(
            pa.BufferReader(pa.py_buffer(buffer.getbuffer())),
            read_options=pa_csv.ReadOptions(column_names=list(kinds)),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=kinds,
                null_values=[""],
                true_values=["t"],
                false_values=["f"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def ping(self) -> float:
        """Seconds of a round trip to the database; raises DatabaseAway."""
        started = time.perf_counter()
        with self._connection() as connection:
            connection.execute(text("SELECT 1"))
        return time.perf_counter() - started

    def _at_rest(self, pid: int) -> bool:
        return bool(self.pulse.rows("session_at_rest", pid=pid))

    def close(self) -> None:
        """Give all connections back; an embedded server stops with the last process that uses it."""
        if "pulse" in vars(self):
            self.pulse.close()
        if self._line is not None:
            self._line.close()
        self._engine.dispose()

    @staticmethod
    def _cursor(connection: Connection) -> Any:
        """The driver's own cursor, for what SQLAlchemy does not offer."""
        return connection.connection.cursor()

    @contextmanager
    def _reading(self, connection: Connection | None) -> Iterator[Connection]:
        if connection is None:
            with self.read() as own:
                yield own
        else:
            with mapped_errors():
                yield connection


# A network may forget a connection without a word, while a long statement or LISTEN waits: this machine asks the other
# whether it still knows of it, and ends within two minutes what nobody knows.
_KEEPALIVES = {"keepalives_idle": 60, "keepalives_interval": 10, "keepalives_count": 6}


def connect_arguments(url: URL, role: str, *, statement_timeout: int | None = None) -> dict[str, object]:
    """What every connection is opened with: short timeouts, UTC, our schema and nothing else on the search path."""
    timeout = STATEMENT_TIMEOUT[role] if statement_timeout is None else statement_timeout
    given = url.query.get("options", "")
    options = " ".join(
        [
            *([given] if isinstance(given, str) else given),
            f"-c statement_timeout={timeout}",
            "-c lock_timeout=3000",
            "-c idle_in_transaction_session_timeout=60000",
            "-c timezone=UTC",
            f"-c search_path={SCHEMA}",
        ]
    )
    alive = {name: value for name, value in _KEEPALIVES.items() if name not in url.query}
    return {"connect_timeout": 3, "application_name": f"trendcast-{role}", "options": options.strip(), **alive}


@cache
def statement(query: str) -> Any:
    """The named query as a statement with its ``:name`` binds. Comment lines go: a colon in one would be a bind."""
    if not re.fullmatch(r"[a-z0-9_]+(/[a-z0-9_]+)*", query):
        raise ValueError(f"'{query}' is not the name of a query")
    source = (SQL_FOLDER / f"{query}.sql").read_text(encoding="utf-8")
    source = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith("--"))
    # SQLAlchemy sees no bind in ``:day::date``; a space before the cast helps.
    made = text(re.sub(r"(?<![:\w\\])(:\w+)::", r"\1 ::", source))
    named = [name for name in AMBIENT if re.search(rf":{name}\b", source)]
    return made.bindparams(*(bindparam(name, callable_=AMBIENT[name]) for name in named))


def bindable(parameters: Mapping[str, object]) -> dict[str, object]:
    """The parameters as the driver takes them: numpy values as Python's, lists as arrays, mappings as json."""
    return {name: _bindable(value) for name, value in parameters.items()}


def _bindable(value: object) -> object:
    if isinstance(value, str) and "\x00" in value:
        raise InvalidInput("A text may not contain the character NUL.")
    if isinstance(value, np.datetime64):
        return pd.Timestamp(value).to_pydatetime()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | pd.Series | pd.Index):
        return [_bindable(item) for item in value.tolist()]
    if isinstance(value, list | tuple | set | frozenset):
        return [_bindable(item) for item in value]
    if isinstance(value, dict):
        return Json(value, dumps=_json_text)
    return None if value is pd.NaT else value


def to_frame(names: Sequence[str], kinds: Sequence[int], rows: Sequence[Sequence[object]]) -> pd.DataFrame:
    """A frame of database rows; ``kinds`` are PostgreSQL's type numbers of the columns."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return pd.DataFrame(
        {name: _series(values, kind) for name, kind, values in zip(names, kinds, columns, strict=True)},
        columns=list(names),
    )


def _series(values: Sequence[Any], kind: int) -> pd.Series:
    if kind in _DATES or kind in _TIMES:
        return pd.Series(pd.to_datetime(list(values)), dtype="datetime64[us]")
    if kind in _ZONED:
        return pd.Series(pd.to_datetime(list(values), utc=True), dtype="datetime64[us, UTC]")
    if kind in _WHOLE:
        return pd.Series(values, dtype="float64" if None in values else "int64")
    if kind in _REAL:
        return pd.Series(np.array([np.nan if value is None else float(value) for value in values], dtype="float64"))
    if kind in _BOOLEAN:
        return pd.Series(values, dtype="boolean" if None in values else "bool")
    if kind in _TEXT:
        return pd.Series(values, dtype="str")
    return pd.Series(list(values), dtype="object")


def _arrow_type(kind: int) -> pa.DataType:
    if kind in _DATES:
        return pa.date32()
    if kind in _TIMES:
        return pa.timestamp("us")
    if kind in _ZONED:
        return pa.timestamp("us", "UTC")
    if kind in _WHOLE:
        return pa.int64()
    if kind in _REAL:
        return pa.float64()
    return pa.bool_() if kind in _BOOLEAN else pa.string()


def arrow_table(frame: pd.DataFrame) -> pa.Table:
    """The frame as an Arrow table whose lists, mappings and bytes are text as COPY reads it."""
    plain = {}
    for name in frame.columns:
        column = frame[name]
        if column.dtype == object:
            sample = next((value for value in column if value is not None), None)
            if isinstance(sample, list | tuple | np.ndarray):
                column = column.map(_array_text, na_action=None)
            elif isinstance(sample, dict):
                column = column.map(_json_text)
            elif isinstance(sample, bytes):
                column = column.map(lambda value: None if value is None else "\\x" + value.hex())
        plain[name] = pa.Array.from_pandas(column)
    return pa.table(plain)


def _json_text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, allow_nan=False, default=str)


def _array_text(value: Any) -> str | None:
    """PostgreSQL's text of an array of numbers; NaN stays NaN there, None is null."""
    if value is None:
        return None
    return "{" + ",".join("NULL" if item is None else repr(float(item)) for item in value) + "}"


def _csv_buffers(table: pa.Table, columns: Sequence[str], rows: int = 200_000) -> Iterator[IO[bytes]]:
    """The table in CSV pieces: Arrow quotes every text and leaves nulls bare, which is what COPY tells apart."""
    table = table.select(list(columns))
    for start in range(0, table.num_rows, rows):
        buffer = io.BytesIO()
        pa_csv.write_csv(table.slice(start, rows), buffer, pa_csv.WriteOptions(include_header=False))
        buffer.seek(0)
        yield buffer


class _Transient(DatabaseAway):
    """The connection broke: the same transaction may succeed on a new one."""

    transient = True


class _Collision(Conflict):
    transient = True


_AWAY = "The database does not answer. Figures seen before stay visible; edits wait until it is back."
_BY_STATE: tuple[tuple[str, type[TrendCastError], str], ...] = (
    ("57014", DatabaseAway, "The database took too long to answer, and the query was stopped."),
    ("55P03", DatabaseAway, "The database is busy: another process holds what is needed. Try again in a moment."),
    ("53100", DatabaseAway, "The database's disk is full: make room, then try again."),
    ("53", DatabaseAway, "The database has no room for another connection. Try again in a moment."),
    ("28", NotConfigured, "The database refused the name or password in DATABASE_URL."),
    ("3D000", NotConfigured, "The database named in DATABASE_URL does not exist on its server."),
    ("57P", _Transient, _AWAY),
    ("08", _Transient, _AWAY),
    ("40", _Collision, "Someone else changed the same rows at the same moment. Try again."),
    ("42P01", SchemaBehind, ""),
    ("42703", SchemaBehind, ""),
    ("3F000", SchemaBehind, ""),
    ("42501", NoRight, "The database role may not do this"),
    ("25006", NotAllowed, "This was to read only, yet it tried to write"),
    ("23505", Conflict, "Such a row exists already"),
    ("23503", Conflict, "It refers to something that does not exist, or something still refers to it"),
    ("23", InvalidInput, "The database refused a value"),
    ("22", InvalidInput, "The database refused a value"),
)


def as_trendcast(error: BaseException) -> Any:
    """The database's error as one of ours; its attribute ``transient`` says whether a repeat may help."""
    mapped: TrendCastError
    if isinstance(error, PoolTimeout):
        mapped = DatabaseAway("The database is busy: no connection became free within 5 seconds.")
    else:
        original = error.orig if isinstance(error, DBAPIError) else error
        state = getattr(original, "pgcode", None) or ""
        message = str(original).strip().splitlines()
        first = message[0].removeprefix("ERROR:").strip() if message else ""
        if not state and type(original).__name__ in _CONNECTION_ERRORS:
            mapped = _from_connecting(str(original))
        else:
            for prefix, kind, sentence in _BY_STATE:
                if state and state.startswith(prefix):
                    shown = sentence if sentence.endswith(".") else f"{sentence}: {first}."
                    mapped = kind() if kind is SchemaBehind else kind(shown)
                    break
            else:
                mapped = TrendCastError(f"The database refused a statement: {first or error}.")
    if not hasattr(mapped, "transient"):
        mapped.transient = False  # type: ignore[attr-defined]
    return mapped


# What the driver raises without a state: a connection that cannot be made, or broke.
_CONNECTION_ERRORS = {"OperationalError", "InterfaceError", "DatabaseError"}


def _from_connecting(message: str) -> TrendCastError:
    """Errors of opening a connection carry no state, only the server's words."""
    if "authentication failed" in message or ("role" in message and "does not exist" in message):
        return NotConfigured("The database refused the name or password in DATABASE_URL.")
    if "database" in message and "does not exist" in message:
        return NotConfigured("The database named in DATABASE_URL does not exist on its server.")
    return _Transient(_AWAY)


@contextmanager
def raw_errors() -> Iterator[None]:
    """Errors of the driver's own cursors, which SQLAlchemy does not see, as one of ours."""
    import psycopg2

    try:
        yield
    except psycopg2.Error as error:
        raise as_trendcast(error) from error


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Let no error of the database library out of the store."""
    try:
        yield
    except SQLAlchemyError as error:
        raise as_trendcast(error) from error
