"""Databases of the tests' own server, and what a load and a refresh leave in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg2

from trendcast.store import embedded
from trendcast.store.engine import Database


def clock() -> datetime:
    return datetime.now(UTC)


def silent(*_: Any, **__: Any) -> None:
    """Nobody hears of the progress."""


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
