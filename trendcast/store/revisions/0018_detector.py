"""Events that people's verdicts made."""

from trendcast.store.migrate import run_file

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    run_file("0018_detector.sql")
