"""Seconds of one detection pass, end to end, on a made-up retailer of a given size: read, judge, write.

    python benchmarks/detection.py                                   # 500 categories x 5 regions
    python benchmarks/detection.py --categories 4000 --regions 5 --days 2    # 20,000 series
    python benchmarks/detection.py --categories 500 --regions 5 --stores 8   # as many, of stores

Makes an embedded server in a temporary folder, fills 260 days and a forecast of the last two weeks, and prints the
first look and then a new day at a time, one of them with an outage of a region.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pyarrow as pa
from sqlalchemy import text

from trendcast.services.detect import detect
from trendcast.services.progress import silent
from trendcast.store import embedded, migrate
from trendcast.store.engine import Database

FIRST = date(2026, 1, 5)
WEEK = np.array([0.9, 0.9, 0.95, 1.0, 1.1, 1.25, 0.9])
BATCH = """
    INSERT INTO load_batch (source, table_name, status, rows_new, first_day, last_day, committed_at)
    VALUES ('benchmark', 'sales_daily', 'merged', 1, :first, :last, now()) RETURNING id"""
RUN = """
    INSERT INTO run (status, first_day, last_day, horizon, data_batch_hi, code_version, params_hash, lease_token)
    VALUES ('ready', :first, :last, 91, 1, '', '', gen_random_uuid()) RETURNING id"""


def days(first: int, last: int) -> np.ndarray:
    return np.datetime64(FIRST, "D") + np.arange(first, last)


def fill(db: Database, units: np.ndarray, keys: list[tuple[str, str, str]], first: int, last: int) -> None:
    """A batch of the days first..last-1."""
    with db.transaction() as connection:
        span = {"first": FIRST + timedelta(days=first), "last": FIRST + timedelta(days=last - 1)}
        batch = connection.execute(text(BATCH), span).scalar_one()
        sold = units[:, first:last].ravel()
        columns = {
            "date_id": pa.array(np.tile(days(first, last), len(keys))),
            **{
                name: pa.array(np.repeat([key[place] for key in keys], last - first))
                for place, name in enumerate(("product_category", "region", "store"))
            },
            "sales_units": pa.array(sold),
            "sales_revenue": pa.array(20 * sold),
            "batch_id": pa.array(np.full(len(sold), batch)),
        }
        table = pa.table(columns)
        db.copy_in(connection, "sales_daily", table.column_names, table)


def forecast(db: Database, mean: np.ndarray, keys: list[tuple[str, str, str]], level: str, first: int) -> None:
    """A run of the day before ``first``, with its days in (series, days) ``mean``."""
    with db.transaction() as connection:
        span = {"first": FIRST, "last": FIRST + timedelta(days=first - 1)}
        run = connection.execute(text(RUN), span).scalar_one()
        parts = {name: [key[place] for key in keys] for place, name in enumerate(("categories", "regions", "stores"))}
        db.execute("series_add", connection=connection, levels=[level] * len(keys), **parts)
        known = {
            tuple(row)[2:]: row.id for row in db.frame("series_all", connection=connection).itertuples(index=False)
        }
        ids = np.array([known[key] for key in keys])
        values = pa.array(mean.ravel())
        columns = {
            "run_id": pa.array(np.full(mean.size, run)),
            "series_id": pa.array(np.repeat(ids, mean.shape[1])),
            "date_id": pa.array(np.tile(days(first, first + mean.shape[1]), len(keys))),
            **dict.fromkeys(("mean", "q025", "q05", "q10", "q25", "q50", "q75", "q90", "q95", "q975"), values),
        }
        table = pa.table(columns)
        db.copy_in(connection, "forecast", table.column_names, table)


def main() -> int:
    parser = argparse.ArgumentParser(description="Time a detection pass.")
    parser.add_argument("--categories", type=int, default=500)
    parser.add_argument("--regions", type=int, default=5)
    parser.add_argument("--stores", type=int, default=0, help="per region")
    parser.add_argument("--days", type=int, default=5, help="new days after the first look")
    args = parser.parse_args()
    keys = [
        (f"Category {category:03d}", f"Region {region}", f"Store {region}-{store}" if args.stores else "")
        for category in range(args.categories)
        for region in range(args.regions)
        for store in range(max(args.stores, 1))
    ]
    level = "category_store" if args.stores else "category_region"
    past = 260
    rng = np.random.default_rng(1)
    expected = 200 * np.exp(rng.normal(0, 0.5, (len(keys), 1))) * WEEK[np.arange(past + args.days) % 7]
    units = np.round(expected * np.exp(rng.normal(0, 0.08, expected.shape)))
    south = np.array([key[1] == "Region 1" for key in keys])
    units[south, -1] = np.round(units[south, -1] * 0.5)
    home = Path(tempfile.mkdtemp(prefix="tc-detection-"))
    home.chmod(0o755)
    server = embedded.start(home)
    try:
        db = Database(server.database_url("trendcast"), role="worker", server=server)
        migrate.upgrade(db)
        fill(db, units, keys, 0, past)
        forecast(db, expected[:, past - 14 :], keys, level, past - 14)
        with db.transaction() as connection:
            for table in ("sales_daily", "forecast", "series"):
                connection.execute(text(f"ANALYZE {table}"))
        print(f"{len(keys):,} series, {past} days; seconds by part\n")
        print("| pass | reading | judging | writing | in all | entries | incidents |\n|---|---|---|---|---|---|---|")
        for number in range(args.days + 1):
            if number:
                fill(db, units, keys, past + number - 1, past + number)
            found = detect(db, lambda: datetime.now(UTC), silent, None)
            name = f"day {number}" if number else f"first look ({found['days']} days)"
            parts = " | ".join(f"{found['parts'][part]:.2f}" for part in ("reading", "judging", "writing"))
            print(
                f"| {name} | {parts} | {found['seconds']:.2f} | {found['n_flagged']} | {found['incidents']} |",
                flush=True,
            )
        print(f"\n{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MB at the peak")
        db.close()
    finally:
        server.release()
        shutil.rmtree(home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
