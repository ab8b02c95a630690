"""What a message is about, and how each channel does."""

from trendcast.store.migrate import run_file

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    run_file("0017_outbox.sql")
