"""Detections, incidents and the outbox."""

from trendcast.store.migrate import run_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_file("0005_anomalies.sql")
