"""The engine: what goes in comes out with settled types, and no foreign error leaves the store."""

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy import text

from trendcast import errors
from trendcast.store import engine
from trendcast.store.engine import Database, normalise_url


@pytest.fixture
def queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    """``queries(name, sql)`` adds a named query for this test."""
    monkeypatch.setattr(engine, "SQL_FOLDER", tmp_path)
    engine.statement.cache_clear()

    def add(name: str, sql: str) -> str:
        (tmp_path / f"{name}.sql").write_text(sql, encoding="utf-8")
        return name

    yield add
    engine.statement.cache_clear()


KINDS = """-- One row of every kind; 08:00 and :nothing in a comment bind nothing.
SELECT DATE '2024-02-29' AS day, TIMESTAMPTZ '2024-02-29 23:30:00.5+02' AS at, 'a%b:c'::varchar AS name,
       7::integer AS whole, 1.5::numeric AS fraction, true AS flag, '{"a": 1}'::jsonb AS facts,
       ARRAY[1.5, 'NaN']::float8[] AS list, NULL::integer AS missing, NULL::varchar AS nothing, '' AS empty
"""


def test_a_frame_has_one_type_per_kind(db: Database, queries: Callable[[str, str], str]) -> None:
    frame = db.frame(queries("kinds", KINDS))
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "day": "datetime64[us]", "at": "datetime64[us, UTC]", "name": "str", "whole": "int64", "fraction": "float64",
        "flag": "bool", "facts": "object", "list": "object", "missing": "float64", "nothing": "str", "empty": "str",
    }  # fmt: skip
    row = frame.iloc[0]
    assert row["at"] == pd.Timestamp("2024-02-29 21:30:00.5", tz="UTC")
    assert (row["name"], row["facts"], row["empty"]) == ("a%b:c", {"a": 1}, "")
    assert pd.isna(row["nothing"])


def test_an_empty_frame_has_the_same_types(db: Database, queries: Callable[[str, str], str]) -> None:
    full = db.frame(queries("kinds", KINDS)).drop(columns="missing")  # an integer without nulls stays whole
    none = db.frame(queries("none", f"SELECT * FROM (\n{KINDS}) AS k WHERE false")).drop(columns="missing")
    assert len(none) == 0
    assert list(none.dtypes) == list(full.dtypes)


def test_values_are_bound_never_pasted(db: Database, queries: Callable[[str, str], str]) -> None:
    echo = queries(
        "echo", "-- What was given.\nSELECT :text::text AS text, :day::date AS day, :numbers::int[] AS numbers"
    )
    hostile = "'; DROP TABLE run; -- %s :x \\ \u202e🙂"
    row = db.rows(echo, text=hostile, day=np.datetime64("2024-02-29"), numbers=np.array([1, 2], dtype=np.int64))[0]
    assert row == {"text": hostile, "day": datetime.date(2024, 2, 29), "numbers": [1, 2]}
    with pytest.raises(errors.InvalidInput, match="NUL"):
        db.rows(echo, text="a\x00b", day=None, numbers=[])


def test_only_files_of_sql_are_queries(db: Database) -> None:
    with pytest.raises(ValueError, match="not the name of a query"):
        db.rows("../sql/migrations/0001_facts")


def test_copy_in_and_out_keep_every_value(db: Database, queries: Callable[[str, str], str]) -> None:
    with db.transaction() as connection:
        connection.execute(text(
            "CREATE TABLE kept (day date, at timestamptz, name text, whole bigint, number float8, flag boolean,"
            " list float8[], facts jsonb, raw bytea)"
        ))  # fmt: skip
        frame = pd.DataFrame({
            "day": pd.to_datetime(["2024-02-29", None]), "at": pd.to_datetime(["2024-02-29T21:30:00.5Z", None]),
            "name": ['Hög,"quoted"\nline', ""], "whole": [2**40, 0], "number": [1e-17, None], "flag": [True, False],
            "list": [np.array([1.0, np.nan]), [0.5]], "facts": [{"a": [1, "ü"]}, None], "raw": [b"\x00\xff", None],
        })  # fmt: skip
        assert db.copy_in(connection, "kept", list(frame.columns), frame) == 2
        assert db.copy_in(connection, "kept", ["name", "whole"], pa.table({"name": [None, "x"], "whole": [1, 2]})) == 2
        everything = queries("everything", "SELECT * FROM kept WHERE whole >= :least ORDER BY whole")
        back = db.copy_out(everything, connection=connection, least=0).to_pylist()
        rows = db.rows(everything, connection=connection, least=2**40)
    assert [row["whole"] for row in back] == [0, 1, 2, 2**40]
    assert [row["name"] for row in back] == ["", None, "x", 'Hög,"quoted"\nline']
    assert back[3]["number"] == 1e-17
    assert back[3]["at"] == datetime.datetime(2024, 2, 29, 21, 30, 0, 500_000, tzinfo=datetime.UTC)
    assert back[3]["day"] == datetime.date(2024, 2, 29)
    assert (back[0]["flag"], back[1]["flag"], back[3]["flag"]) == (False, None, True)
    assert str(rows[0]["list"]) == "[1.0, nan]"
    assert rows[0]["facts"] == {"a": [1, "ü"]}
    assert bytes(rows[0]["raw"]) == b"\x00\xff"


def test_copy_out_of_nothing_keeps_columns(db: Database, queries: Callable[[str, str], str]) -> None:
    table = db.copy_out(queries("nothing", "SELECT DATE '2024-01-01' AS day, 1.5 AS number WHERE false"))
    assert table.schema == pa.schema({"day": pa.date32(), "number": pa.float64()})


def test_a_reader_sees_one_state_and_cannot_write(db: Database, queries: Callable[[str, str], str]) -> None:
    count = queries("count", "SELECT count(*) AS n FROM series")
    add = queries("add", "INSERT INTO series (level) VALUES ('total')")
    with db.read() as connection:
        assert db.rows(count, connection=connection)[0]["n"] == 0
        assert db.execute(add) == 1
        assert db.rows(count, connection=connection)[0]["n"] == 0
    assert db.rows(count)[0]["n"] == 1
    with pytest.raises(errors.NotAllowed), db.read() as connection:
        db.execute(add, connection=connection)


@pytest.mark.parametrize(("sql", "kind"), [
    ("INSERT INTO series (level) VALUES ('total'), ('total')", errors.Conflict),
    ("INSERT INTO series (level) VALUES ('nation')", errors.InvalidInput),
    ("SELECT * FROM no_such_table", errors.SchemaBehind),
    ("SELECT nonsense FROM", errors.TrendCastError),
    ("SELECT '2024-02-30'::date", errors.InvalidInput),
    ("SELECT pg_terminate_backend(pg_backend_pid())", errors.DatabaseAway),
    ("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$", errors.Conflict),
    ("DO $$ BEGIN RAISE SQLSTATE '53100'; END $$", errors.DatabaseAway),
    ("DO $$ BEGIN RAISE SQLSTATE '55P03'; END $$", errors.DatabaseAway),
])  # fmt: skip
def test_errors_leave_as_ours(
    db: Database, queries: Callable[[str, str], str], sql: str, kind: type[errors.TrendCastError]
) -> None:
    with pytest.raises(kind):
        db.execute(queries("wrong", sql))
    assert db.ping() < 1  # the pool got a sound connection back


def test_a_slow_query_is_stopped(db: Database, queries: Callable[[str, str], str]) -> None:
    queries("slow", "SELECT set_config('statement_timeout', '50', true), pg_sleep(0.01)")
    nap = queries("nap", "SELECT pg_sleep(5)")
    with db.transaction() as connection:
        db.rows("slow", connection=connection)
        with pytest.raises(errors.DatabaseAway, match="too long"):
            db.rows(nap, connection=connection)


def test_every_connection_has_its_limits(db: Database, queries: Callable[[str, str], str]) -> None:
    limits = queries("limits", "SELECT name, setting FROM pg_settings WHERE name = ANY(:names)")
    names = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "TimeZone", "search_path"]
    web = Database(db.url, role="web")
    found = {row["name"]: row["setting"] for row in web.rows(limits, names=names)}
    web.close()
    assert found == dict(zip(names, ["5000", "3000", "60000", "UTC", "trendcast"], strict=True))
    assert {row["name"]: row["setting"] for row in db.rows(limits, names=names)}["statement_timeout"] == "900000"


def test_a_broken_transaction_is_run_again(db: Database, queries: Callable[[str, str], str]) -> None:
    add = queries("add", "INSERT INTO series (level) VALUES ('total')")
    cut = queries("cut", "SELECT pg_terminate_backend(pg_backend_pid())")
    tries = []

    def work(connection: object) -> int:
        tries.append(1)
        touched = db.execute(add, connection=connection)  # type: ignore[arg-type]
        if len(tries) == 1:
            db.execute(cut, connection=connection)  # type: ignore[arg-type]
        return touched

    assert db.run_tx(work) == 1
    assert len(tries) == 2
    with pytest.raises(errors.Conflict):  # not transient: once is enough
        db.run_tx(work)
    assert len(tries) == 3


@pytest.mark.parametrize("given", ["postgres://u:p%40ss@h:5/d", "postgresql://u:p%40ss@h:5/d?sslmode=require"])
def test_urls_name_the_driver_and_hide_the_password(given: str) -> None:
    url = normalise_url(given)
    assert url.drivername == "postgresql+psycopg2"
    assert url.password == "p@ss"
    assert "p%40ss" not in repr(Database(given))
    assert "p@ss" not in repr(Database(given))


@pytest.mark.parametrize("given", ["sqlite:///x.db", "mysql://u@h/d", "nonsense", "postgres"])
def test_other_databases_are_refused_with_a_sentence(given: str) -> None:
    with pytest.raises(errors.NotConfigured, match=r"DATABASE_URL|PostgreSQL"):
        normalise_url(given)


def test_nobody_at_the_address_is_database_away() -> None:
    database = Database("postgresql://u:p@127.0.0.1:9/d")
    with pytest.raises(errors.DatabaseAway):
        database.ping()
    database.close()
