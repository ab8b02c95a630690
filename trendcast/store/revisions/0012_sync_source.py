"""When sync last looked at all of a source."""

from trendcast.store.migrate import run_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_file("0012_sync_source.sql")
