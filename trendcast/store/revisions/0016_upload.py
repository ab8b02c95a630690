"""Uploads remember how columns were understood."""

from trendcast.store.migrate import run_file

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    run_file("0016_upload.sql")
