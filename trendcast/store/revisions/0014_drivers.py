"""The drivers of a series."""

from trendcast.store.migrate import run_file

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_file("0014_drivers.sql")
