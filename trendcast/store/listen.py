"""LISTEN: being woken by a commit. A notification carries no data, and one that nobody hears is lost: poll as well."""

from __future__ import annotations

import contextlib
import select
import time
from typing import Self

import psycopg2
from psycopg2 import sql as compose

from trendcast.store.engine import Database, connect_arguments, normalise_url, raw_errors

JOB = "trendcast_job"  # a slot was enqueued
RUN = "trendcast_run"  # a run was published
DATA = "trendcast_data"  # a load was committed
MAIL = "trendcast_mail"  # a message was written


class Listener:
    """One dedicated autocommit connection, outside the pool: a pooled one would be given to others, still listening."""

    def __init__(self, database: Database, channels: tuple[str, ...] = (JOB, RUN, DATA)) -> None:
        url = normalise_url(database.url)
        query = {key: value for key, value in url.query.items() if key != "options" and isinstance(value, str)}
        host = {"host": url.host} if url.host else {}
        with raw_errors():
            self._connection = psycopg2.connect(
                **{**connect_arguments(url, database.role), **host, **query},
                user=url.username, password=url.password, port=url.port, dbname=url.database,
            )  # fmt: skip
            self._connection.autocommit = True
            with self._connection.cursor() as cursor:
                for channel in channels:
                    cursor.execute(compose.SQL("LISTEN {}").format(compose.Identifier(channel)))

    def wait(self, seconds: float) -> list[str]:
        """The channels something was heard on, as soon as something is, at the latest after ``seconds``.

        Raises DatabaseAway when the connection broke; what was said meanwhile is lost, so look at the state again.
        """
        deadline = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self._connection], [], [], max(0.0, deadline - time.monotonic()))
            with raw_errors():
                self._connection.poll()
            heard = [notification.channel for notification in self._connection.notifies]
            self._connection.notifies.clear()
            if heard or not ready:
                return heard

    def close(self) -> None:
        with contextlib.suppress(psycopg2.Error):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
