"""Who did what, found by request."""

from trendcast.store.migrate import run_file

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    run_file("0019_people.sql")
