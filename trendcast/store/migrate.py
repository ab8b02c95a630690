"""The schema's history: numbered plain SQL in sql/migrations, one Alembic revision each, one straight line."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from alembic import op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, text

from trendcast.errors import SchemaBehind
from trendcast.store.engine import SCHEMA, SQL_FOLDER, Database, connect_arguments, mapped_errors, normalise_url
from trendcast.store.locks import MIGRATION

REVISIONS = Path(__file__).resolve().parent / "revisions"
_one_at_a_time = threading.Lock()  # Alembic keeps the migration at work in globals


def run_file(name: str) -> None:
    """Execute a file of sql/migrations as it stands: no ``%`` and no ``:name`` in it means anything to the driver."""
    execute_file(op.get_bind(), SQL_FOLDER / "migrations" / name)


def execute_file(connection: Connection, path: Path) -> None:
    connection.execution_options(no_parameters=True).exec_driver_sql(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _script() -> ScriptDirectory:
    return ScriptDirectory(str(REVISIONS), version_locations=[str(REVISIONS)])


def head() -> str:
    """The revision this version of TrendCast works with."""
    newest = _script().get_current_head()
    assert newest is not None
    return newest


def current(database: Database) -> str | None:
    """The revision the database is at; None when it has none of our schema."""
    with database.read() as connection:
        table = {"table": f"{SCHEMA}.alembic_version"}
        if connection.execute(text("SELECT to_regclass(:table)"), table).scalar() is None:
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def check(database: Database) -> None:
    """Raise SchemaBehind unless the database's schema is exactly this version's."""
    at = current(database)
    if at == head():
        return
    if at is not None and at not in {revision.revision for revision in _script().walk_revisions()}:
        raise SchemaBehind(
            f"The database's schema ({at}) is newer than this version of TrendCast ({head()}): update TrendCast."
        )
    raise SchemaBehind()


def upgrade(database_or_url: Database | str, to: str = "head") -> list[str]:
    """Bring the schema to this version in one transaction, one process at a time; returns the revisions applied.

    The grants of sql/migrations/grants.sql are given anew each time, so that a role made later gets its rights too.
    """
    url = normalise_url(database_or_url.url if isinstance(database_or_url, Database) else database_or_url)
    engine = create_engine(
        url.difference_update_query(["options"]),
        poolclass=NullPool,
        connect_args=connect_arguments(url, "worker", statement_timeout=0),
    )
    script = _script()
    applied: list[str] = []

    def steps(revision: Any, _context: MigrationContext) -> list[RevisionStep]:
        chosen = script._upgrade_revs(to, revision)
        applied.extend(step.revision.revision for step in chosen)
        return list(chosen)

    with _one_at_a_time, mapped_errors(), engine.connect() as connection:
        environment = EnvironmentContext(Config(), script, fn=steps, destination_rev=to)
        with environment:
            environment.configure(connection=connection, version_table_schema=SCHEMA, transactional_ddl=True)
            with environment.begin_transaction():
                # Inside the transaction: a lock taken before it belongs to one that is silently rolled back.
                connection.execute(text("SELECT set_config('lock_timeout', '60s', true)"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": MIGRATION})
                # IF NOT EXISTS would ask for the right to create even where an administrator made the schema for us.
                if connection.execute(text("SELECT to_regnamespace(:name)"), {"name": SCHEMA}).scalar() is None:
                    connection.execute(text("CREATE SCHEMA trendcast"))
                environment.run_migrations()
                if to == "head":
                    execute_file(connection, SQL_FOLDER / "migrations" / "grants.sql")
    return applied
