"""How the last seven days went, in the specification's words: forecast accuracy by category and anomalies."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database

WINDOW = timedelta(days=7)


def scorecard(db: Database, clock: Clock) -> dict[str, Any]:
    """``forecast_accuracy``: per category the mean accuracy of the forecasts whose truth arrived in the last seven days
    (a forecast is scored when its week is over, days after it was made), best first; ``anomaly_summary``: counts."""
    since = clock() - WINDOW
    with db.read() as connection:
        accuracy = db.rows("scorecard_accuracy", connection=connection, since=since)
        anomalies = db.rows("scorecard_anomalies", connection=connection, since=since)[0]
    return {
        "forecast_accuracy": [dict(row) for row in accuracy],
        "anomaly_summary": dict(anomalies),
    }
