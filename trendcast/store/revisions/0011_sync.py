"""What sync has seen of the customer's tables."""

from trendcast.store.migrate import run_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_file("0011_sync.sql")
