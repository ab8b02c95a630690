"""Job slots and leases."""

from trendcast.store.migrate import run_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_file("0003_jobs.sql")
