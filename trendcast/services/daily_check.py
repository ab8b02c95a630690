"""The daily check for anomalies as one call, and all that such checks ever found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trendcast.services.progress import silent

if TYPE_CHECKING:
    import pandas as pd

    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database


def check(db: Database, clock: Clock) -> list[dict[str, Any]]:
    """Check every full day that is new or changed, now and in this process: per anomaly date, product_category, region,
    actual_sales, expected_sales, anomaly_score, impact. The same data again: what was found before."""
    from trendcast.services import detect

    found = detect.detect(db, clock, silent, None, trigger="api")
    return [dict(one) for one in found["anomalies"]]


def history(db: Database) -> pd.DataFrame:
    """The anomaly log, newest first, the specification's columns in front."""
    return db.frame("analyst_anomalies")
