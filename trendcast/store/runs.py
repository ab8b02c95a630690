"""Runs in the database: begun, written and published in one transaction, thinned with age."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection

from trendcast.errors import Conflict, LeaseLost, TrendCastError
from trendcast.store import jobs
from trendcast.store.engine import Database

QUANTILES = ("q025", "q05", "q10", "q25", "q50", "q75", "q90", "q95", "q975")
KEY = ["level", "product_category", "region", "store"]
RUNS_WITH_DAYS = 14


def begin(db: Database, **facts: object) -> int:
    """A new building run; ``facts`` are the columns of sql/run_begin.sql. Runs left behind by dead processes fail."""
    with db.transaction() as connection:
        db.rows("run_abandoned", connection=connection, grace=0)
        return int(db.rows("run_begin", connection=connection, **facts)[0]["id"])


def abandon(db: Database) -> int:
    """Let runs fail whose process ended; returns how many. One whose lease has just run out may still come back."""
    with db.transaction() as connection:
        return len(db.rows("run_abandoned", connection=connection, grace=600))


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
    money: np.ndarray,
) -> int:
    """COPY means (S, D), quantiles (S, D, 9) and money (S, D; NaN: not known) of the series ``ids`` (S,) and days or
    weeks ``dates`` (D,)."""
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
            "money": pa.array(money[block].ravel(), from_pandas=True),
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
    *,
    show: bool = True,
) -> None:
    """Check the run's rows and show it to every reader, in the caller's transaction; with ``show=False`` it is only
    kept.

    Raises TrendCastError when a check fails, LeaseLost when another worker took over and Conflict when a run of newer
    data is shown already; each rolls everything back.
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
    jobs.assert_token(db, connection, token)  # from here to the commit nobody can take the job over
    shown = db.rows(
        "run_publish", connection=connection, run_id=run_id, token=token, n_series=n_series, summary=dict(summary)
    )
    if len(shown) != 1:
        raise LeaseLost("Another worker took this refresh over; nothing was published here.")
    if not show:
        return
    if db.execute("run_point", connection=connection, run_id=run_id) != 1:
        raise Conflict("Another refresh has published newer data meanwhile; this forecast was dropped.")
    db.rows("run_notify", connection=connection, run_id=run_id)


def score(db: Database, connection: Connection, last_day: date, actuals: pd.DataFrame) -> int:
    """Score the logged weeks that are over, and again those of the last 26 whose truth was corrected, or is known no
    more; ``actuals`` has series_id, week, actual (NaN: not known). Returns the rows scored."""
    due = db.frame("forecast_log_due", connection=connection, last_day=last_day)
    if due.empty:
        return 0
    known = due.merge(actuals, on=["series_id", "week"])
    if known.empty:
        return 0
    return db.execute(
        "forecast_log_score",
        connection=connection,
        series_ids=known["series_id"].tolist(),
        weeks=[day.date() for day in known["week"]],
        actuals=[None if math.isnan(actual) else actual for actual in known["actual"].tolist()],
    )


def thin(db: Database, keep: int = RUNS_WITH_DAYS) -> None:
    """Drop what old runs no longer need, one run per transaction: daily rows beyond the newest ``keep``; of older runs
    only the newest of each week of data stays, with its weekly sums."""
    for row in db.rows("run_thin_list", keep=keep):
        if not row["weekly_kept"]:
            db.execute("run_delete", run_id=row["id"])
        elif row["has_daily"]:
            db.execute("run_thin_daily", run_id=row["id"])
    for row in db.rows("run_failed_old"):
        db.execute("run_delete", run_id=row["id"])
    db.execute("run_thin_arrays")
    db.execute("run_thin_backtest")


def hex_rows(blobs: Iterable[bytes | None]) -> pa.Array:
    """Bytes as the bytea literals COPY reads."""
    return pa.array([None if blob is None else "\\x" + blob.hex() for blob in blobs], pa.string())


def pack_history(
    units: np.ndarray, is_open: np.ndarray, promotion: np.ndarray, stockout: np.ndarray, revenue: np.ndarray
) -> bytes:
    """One series' days: units and revenue float32 (NaN: not observed, not known), then share open, share promoted (255:
    not known) and stock-outs as bytes."""
    shares = [
        np.where(np.isfinite(share), np.round(np.nan_to_num(share) * 254), 255).astype(np.uint8)
        for share in (is_open, promotion)
    ]
    return b"".join(
        [
            *(values.astype("<f4").tobytes() for values in (units, revenue)),
            *(s.tobytes() for s in shares),
            stockout.astype(np.uint8).tobytes(),
        ]
    )


def unpack_history(raw: bytes | memoryview) -> pd.DataFrame:
    """Columns units, revenue, open, promotion, stockout; a row per day."""
    data = bytes(raw)
    days = len(data) // 11
    small = np.frombuffer(data, np.uint8, offset=8 * days).reshape(3, days)
    shares = np.where(small[:2] == 255, np.nan, small[:2] / 254.0)
    return pd.DataFrame(
        {
            "units": np.frombuffer(data, "<f4", days).astype(np.float64),
            "revenue": np.frombuffer(data, "<f4", days, offset=4 * days).astype(np.float64),
            "open": shares[0],
            "promotion": shares[1],
            "stockout": small[2].astype(bool),
        }
    )


def pack_lost(units: np.ndarray, revenue: np.ndarray) -> bytes | None:
    """One series' demand that stock-outs turned away, day by day: float32 units, then money; None: none."""
    if not (units > 0).any():
        return None
    return b"".join(values.astype("<f4").tobytes() for values in (units, revenue))


def unpack_lost(raw: bytes | memoryview | None, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Units and money (days,) of pack_lost: zeros beyond what was kept, and everywhere for None."""
    units, revenue = np.zeros(days), np.zeros(days)
    if raw is not None:
        kept = np.frombuffer(bytes(raw), "<f4").reshape(2, -1)
        known = min(days, kept.shape[1])
        units[:known], revenue[:known] = kept[:, :known]
    return units, revenue


def pack_parts(parts: np.ndarray) -> bytes:
    """One series' decomposition (P, days): per part its largest value as float64, then all days in 16 bits of it. What
    the rounding leaves (3e-5 of the largest value) is part of the rest, so the parts still add up exactly."""
    largest = np.maximum(np.abs(parts).max(axis=1), 1e-12)
    steps = np.round(parts / largest[:, None] * 32767).astype("<i2")
    return largest.astype("<f8").tobytes() + steps.tobytes()


def unpack_parts(raw: bytes | memoryview, count: int) -> np.ndarray:
    """The decomposition (count, days) of pack_parts."""
    data = bytes(raw)
    largest = np.frombuffer(data, "<f8", count)
    return np.frombuffer(data, "<i2", offset=8 * count).reshape(count, -1) * (largest[:, None] / 32767)


def pack_floats(values: np.ndarray) -> bytes:
    """Any array as float32, row by row."""
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


def unpack_floats(raw: bytes | memoryview, *shape: int) -> np.ndarray:
    """A stored array back as float64; the first axis is inferred."""
    return np.frombuffer(bytes(raw), dtype="<f4").reshape(-1, *shape).astype(np.float64)
