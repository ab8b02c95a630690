"""Runs, their forecasts and what became of them."""

from trendcast.store.migrate import run_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_file("0002_runs.sql")
