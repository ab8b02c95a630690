"""Answers of requests that may come again, and rows pushed to a process that may not write facts."""

from trendcast.store.migrate import run_file

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    run_file("0020_rest.sql")
