"""Migrations: from nothing and from every older schema to the head, once, whoever asks at the same time."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from trendcast import errors
from trendcast.store import migrate
from trendcast.store.engine import Database


@pytest.fixture
def fresh(new_database: Callable[..., str]) -> Callable[[], Database]:
    return lambda: Database(new_database(), role="worker")


def shape(database: Database) -> list[tuple[object, ...]]:
    """Every column, constraint and index of our schema."""
    with database.read() as connection:
        return [
            tuple(row)
            for row in connection.execute(text(
                "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
                " WHERE table_schema = 'trendcast' UNION ALL SELECT conrelid::regclass::text, conname,"
                " pg_get_constraintdef(oid), '', '' FROM pg_constraint WHERE connamespace = 'trendcast'::regnamespace"
                " UNION ALL SELECT tablename, indexname, indexdef, '', '' FROM pg_indexes"
                " WHERE schemaname = 'trendcast' ORDER BY 1, 2, 3"
            ))
        ]  # fmt: skip


def test_from_nothing_to_the_head(fresh: Callable[[], Database]) -> None:
    database = fresh()
    assert migrate.current(database) is None
    with pytest.raises(errors.SchemaBehind, match="db upgrade"):
        migrate.check(database)
    assert migrate.upgrade(database)[0] == "0001"
    assert migrate.current(database) == migrate.head()
    migrate.check(database)
    assert migrate.upgrade(database) == []
    database.close()


# A row of each kind of table -> what brings it in, when the schema has that table; in this order.
ROWS = {
    "load_batch": "INSERT INTO load_batch (source, table_name, status) VALUES ('f', 'sales_daily', 'merged')",
    "stores": "INSERT INTO stores (store, batch_id) VALUES ('1', 1)",
    "sales_daily": "INSERT INTO sales_daily (date_id, product_category, sales_units, batch_id)"
    " VALUES ('2024-01-01', 'Brot', 3, 1)",
    "run": "INSERT INTO run (status, first_day, last_day, horizon, data_batch_hi, code_version, params_hash,"
    " lease_token) VALUES ('failed', '2024-01-01', '2024-03-01', 91, 1, '', '', gen_random_uuid())",
    "job_slot": "INSERT INTO job_slot (name, scheduled_for, state) VALUES ('refresh', '2024-01-01', 'dead')",
    "audit": "INSERT INTO audit (actor, action, object) VALUES ('ann', 'accept', 'load_batch 1')",
    "incident": "INSERT INTO incident (group_key, episode_start, parent_node, impact)"
    " VALUES ('k', '2024-01-01', 'Brot', 'HIGH')",
}
RELEASED = [revision.revision for revision in migrate._script().walk_revisions()][::-1]
OFTEN = ("0001", "0005", "0017")  # the others every night


def kept(database: Database, tables: list[str]) -> dict[str, int]:
    with database.read() as connection:
        return {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in tables}


@pytest.mark.parametrize(
    "older", [one if one in OFTEN else pytest.param(one, marks=pytest.mark.nightly) for one in RELEASED[:-1]]
)
def test_from_every_older_schema_with_data_to_the_same_shape(
    fresh: Callable[[], Database], db: Database, older: str
) -> None:
    database = fresh()
    migrate.upgrade(database, to=older)
    held = []
    with database.transaction() as connection:
        for table, insert in ROWS.items():
            if connection.execute(text("SELECT to_regclass(:name)"), {"name": f"trendcast.{table}"}).scalar():
                connection.execute(text(insert))
                held.append(table)
    assert len(held) >= 3
    before = kept(database, held)
    assert set(before.values()) == {1}
    migrate.upgrade(database)
    assert shape(database) == shape(db)
    assert kept(database, held) == before
    with database.read() as connection:
        assert connection.execute(text("SELECT store FROM stores")).scalar() == "1"
        assert connection.execute(text("SELECT sales_units FROM sales_daily")).scalar() == 3
    database.close()


def test_upgrades_at_once_do_it_once(fresh: Callable[[], Database]) -> None:
    database = fresh()
    program = "import sys; from trendcast.store import migrate; print(len(migrate.upgrade(sys.argv[1])))"
    started = [
        subprocess.Popen([sys.executable, "-c", program, database.url], stdout=subprocess.PIPE, text=True) for _ in "ab"
    ]
    with ThreadPoolExecutor(3) as pool:
        here = list(pool.map(lambda _: len(migrate.upgrade(database.url)), range(3)))
    there = [int(one.communicate(timeout=60)[0]) for one in started]
    assert sorted(here + there) == [0, 0, 0, 0, len(list(migrate._script().walk_revisions()))]
    database.close()


def test_a_failing_step_leaves_nothing(fresh: Callable[[], Database]) -> None:
    database = fresh()
    with database.transaction() as connection:
        connection.execute(text("CREATE SCHEMA trendcast"))
        connection.execute(text("CREATE TABLE trendcast.outbox (id int)"))  # in the way of a late step
    with pytest.raises(errors.TrendCastError, match="outbox"):
        migrate.upgrade(database)
    with database.read() as connection:
        assert connection.execute(text("SELECT to_regclass('trendcast.sales_daily')")).scalar() is None
    database.close()


def test_a_newer_schema_is_refused(db: Database) -> None:
    with db.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(errors.SchemaBehind, match="newer"):
        migrate.check(db)


def test_the_line_of_revisions_is_straight_and_each_file_has_one() -> None:
    numbers = [revision.revision for revision in migrate._script().walk_revisions()]
    assert numbers == sorted(numbers, reverse=True)
    files = {path.stem for path in (migrate.SQL_FOLDER / "migrations").glob("0*.sql")}
    assert files <= {path.stem for path in migrate.REVISIONS.glob("0*.py")}


def test_an_owner_without_the_right_to_make_roles_or_schemas_upgrades(fresh: Callable[[], Database]) -> None:
    database = fresh()
    with database.transaction() as connection:
        connection.execute(text("DROP ROLE IF EXISTS plain_owner"))
        connection.execute(text("CREATE ROLE plain_owner LOGIN NOCREATEROLE"))
        connection.execute(text("CREATE SCHEMA trendcast AUTHORIZATION plain_owner"))
    try:
        migrate.upgrade(database.url.replace("postgres@", "plain_owner@"))
        migrate.check(database)
    finally:
        with database.transaction() as connection:
            connection.execute(text("DROP OWNED BY plain_owner CASCADE"))
            connection.execute(text("DROP ROLE plain_owner"))
        database.close()


@pytest.mark.parametrize(("statement", "allowed"), [
    ("SELECT count(*) FROM forecast", True),
    ("INSERT INTO audit (actor, action, object) VALUES ('a', 'b', 'c')", True),
    ("INSERT INTO job_slot (name, scheduled_for) VALUES ('refresh', now())", True),
    ("UPDATE anomaly_log SET status = 'RESOLVED'", True),
    ("UPDATE anomaly_log SET actual_value = 0", False),
    ("UPDATE audit SET actor = 'somebody else'", False),
    ("DELETE FROM decision", False),
    ("DELETE FROM sales_daily", False),
    ("UPDATE current_run SET run_id = 1", False),
    ("CREATE TABLE own (id int)", False),
    ("DROP TABLE run", False),
    ("SELECT pg_read_file('postgresql.conf')", False),
    ("COPY look FROM '/etc/passwd'", False),
    ("COPY (SELECT 1) TO PROGRAM 'cat'", False),
])  # fmt: skip
def test_the_web_role_has_least_rights(db: Database, statement: str, allowed: bool) -> None:
    def attempt() -> None:
        with db.transaction() as connection:
            connection.execute(text("SET LOCAL ROLE tc_web"))
            connection.execute(text(statement))

    if allowed:
        attempt()
    else:
        with pytest.raises((errors.NotAllowed, errors.SchemaBehind)):
            attempt()


def test_strangers_have_no_right_at_all(db: Database) -> None:
    with db.transaction() as connection:
        connection.execute(text("CREATE ROLE stranger"))
        connection.execute(text("SET LOCAL ROLE stranger"))
        assert connection.execute(text("SELECT has_schema_privilege('trendcast', 'USAGE')")).scalar() is False
        connection.execute(text("RESET ROLE"))
        connection.execute(text("DROP ROLE stranger"))
