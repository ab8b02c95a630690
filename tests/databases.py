"""Databases of the tests' own server, and what a load and a refresh leave in them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import psycopg2

from trendcast.services.progress import silent
from trendcast.store import embedded
from trendcast.store.engine import Database
from trendcast.store.listen import DATA


def clock() -> datetime:
    return datetime.now(UTC)


def administer(server: embedded.Server, command: str) -> None:
    connection = psycopg2.connect(host=str(server.data), user="postgres", dbname="postgres")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(command)
    finally:
        connection.close()


def create(server: embedded.Server, name: str, template: str) -> Database:
    """A database of that name, cloned."""
    administer(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    return Database(server.database_url(name), role="worker")


def publish(db: Database, frames: dict[str, Any], *, source: str = "", accept: bool = False) -> None:
    """What a load and a refresh do, in this process: a published run of these data."""
    from trendcast.services import jobs as job_service
    from trendcast.services.load import DEMO, load_frames
    from trendcast.services.refresh import refresh
    from trendcast.store import jobs

    load_frames(db, frames, source=source or DEMO, accept=accept)
    claim = jobs.claim(db, slot_id=job_service.enqueue(db, "refresh"))
    assert claim is not None
    jobs.finish(db, claim.id, claim.token, refresh(db, clock, silent, claim.token))


def listens(db: Database) -> bool:
    """Whether somebody waits to be woken by a commit in this database."""
    with db.read() as connection:
        asked = (
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle' "
            "AND query = %(last)s)"
        )
        return bool(connection.exec_driver_sql(asked, {"last": f'LISTEN "{DATA}"'}).scalar_one())


def loaded(
    db: Database, last_day: date, ago: timedelta = timedelta(0), *, at: datetime | None = None, **facts: str
) -> None:
    """As if a load had brought one row of sales and that were their last day: so long ago by the database's clock, or
    at that moment. ``facts``: what else its row says (status, reason)."""
    row = {"status": "merged", "reason": None, **facts, "day": last_day, "ago": ago, "at": at}
    with db.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO load_batch (source, table_name, status, rows_new, last_day, committed_at, reason) VALUES "
            "('f', 'sales_daily', %(status)s, 1, %(day)s, coalesce(%(at)s, now() - %(ago)s), %(reason)s)",
            row,
        )


def today(db: Database) -> date:
    """The database's day."""
    with db.read() as connection:
        return cast("date", connection.exec_driver_sql("SELECT current_date").scalar_one())
