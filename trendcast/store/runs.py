"""Runs in the database: begun, written and published in one transaction, thinned with age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection

from trendcast.errors import LeaseLost, TrendCastError
from trendcast.store.engine import Database

QUANTILES = ("q025", "q05", "q10", "q25", "q50", "q75", "q90", "q95", "q975")
KEY = ["level", "product_category", "region", "store"]
RUNS_WITH_DAYS = 14


def begin(db: Database, **facts: object) -> int:
    """A new building run; ``facts`` are the columns of sql/run_begin.sql. Runs left behind by dead processes fail."""
    with db.transaction() as connection:
        db.rows("run_abandoned", connection=connection)
        return int(db.rows("run_begin", connection=connection, **facts)[0]["id"])


def series_ids(db: Database, connection: Connection, named: pd.DataFrame) -> np.ndarray:
    """The id of each series of ``named`` (columns level, product_category, region, store), new ones added."""
    db.execute(
        "series_add",
        connection=connection,
        levels=named["level"].tolist(),
        categories=named["product_category"].tolist(),
        regions=named["region"].tolist(),
        stores=named["store"].tolist(),
    )
    known = db.frame("series_all", connection=connection)
    return named[KEY].merge(known, on=KEY, how="left", validate="one_to_one")["id"].to_numpy(np.int64)


def write_forecast(
    db: Database,
    connection: Connection,
    table: str,
    run_id: int,
    ids: np.ndarray,
    dates: np.ndarray,
    means: np.ndarray,
    quantiles: np.ndarray,
) -> int:
    """COPY means (S, D) and quantiles (S, D, 9) of the series ``ids`` (S,) and days or weeks ``dates`` (D,)."""
    column = "date_id" if table == "forecast" else "week"
    # A block of series at a time: text of the whole run at once would be most of the memory a refresh takes.
    written = 0
    for start in range(0, len(ids), 500):
        block = slice(start, start + 500)
        count = len(ids[block])
        data: dict[str, Any] = {
            "run_id": pa.array(np.full(count * len(dates), run_id)),
            "series_id": pa.array(np.repeat(ids[block], len(dates))),
            column: pa.array(np.tile(dates.astype("datetime64[D]"), count)),
            "mean": pa.array(means[block].ravel()),
        }
        for q, name in enumerate(QUANTILES):
            data[name] = pa.array(np.ascontiguousarray(quantiles[block, :, q]).ravel())
        written += db.copy_in(connection, table, list(data), pa.table(data))
    return written


def publish(
    db: Database,
    connection: Connection,
    run_id: int,
    token: str,
    n_series: int,
    horizon: int,
    summary: Mapping[str, Any],
) -> None:
    """Check the run's rows and show it to every reader, in the caller's transaction.

    Raises TrendCastError when a check fails and LeaseLost when another worker took over; both roll everything back.
    """
    found = dict(db.rows("run_checks", connection=connection, run_id=run_id)[0])
    rows, days = found.pop("forecast_rows"), found.pop("days")
    found.pop("week_rows")
    wrong = {name: count for name, count in found.items() if count}
    if rows != n_series * horizon or days != horizon:
        wrong["rows"] = rows
    if wrong:
        listed = ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in wrong.items())
        raise TrendCastError(f"The new forecast failed its checks ({listed}) and was not published.")
    db.execute("forecast_log_add", connection=connection, run_id=run_id)
    shown = db.rows(
        "run_publish", connection=connection, run_id=run_id, token=token, n_series=n_series, summary=dict(summary)
    )
    if len(shown) != 1:
        raise LeaseLost("Another worker took this refresh over; nothing was published here.")
    db.execute("run_point", connection=connection, run_id=run_id)
    db.rows("run_notify", connection=connection, run_id=run_id)


def score(db: Database, connection: Connection, last_day: date, actuals: pd.DataFrame) -> int:
    """Score the logged weeks that are over; ``actuals`` has series_id, week, actual. Returns the rows scored."""
    due = db.frame("forecast_log_due", connection=connection, last_day=last_day)
    if due.empty:
        return 0
    known = due.drop_duplicates(["series_id", "week"]).merge(actuals, on=["series_id", "week"]).dropna(subset="actual")
    if known.empty:
        return 0
    return db.execute(
        "forecast_log_score",
        connection=connection,
        series_ids=known["series_id"].tolist(),
        weeks=[day.date() for day in known["week"]],
        actuals=known["actual"].tolist(),
    )


def thin(db: Database, keep: int = RUNS_WITH_DAYS) -> None:
    """Drop what old runs no longer need, one run per transaction: daily rows beyond the newest ``keep``; of older runs
    only those of a week's last day stay, with their weekly sums."""
    for row in db.rows("run_thin_list", keep=keep):
        if not row["weekly_kept"]:
            db.execute("run_delete", run_id=row["id"])
        elif row["has_daily"]:
            db.execute("run_thin_daily", run_id=row["id"])
    for row in db.rows("run_failed_old"):
        db.execute("run_delete", run_id=row["id"])
    db.execute("run_thin_arrays")
    db.execute("run_thin_backtest")


def hex_rows(values: np.ndarray) -> pa.Array:
    """Rows of an array (S, ...) as float32 bytea literals for COPY."""
    flat = np.ascontiguousarray(values, dtype="<f4").reshape(len(values), -1)
    return pa.array(["\\x" + row.tobytes().hex() for row in flat])


def from_bytes(raw: bytes | memoryview, shape: Sequence[int]) -> np.ndarray:
    """A stored array back as float64; the first axis is inferred."""
    return np.frombuffer(raw, dtype="<f4").reshape(-1, *shape).astype(np.float64)
