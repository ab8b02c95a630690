"""How long loading takes: a first load, the same file again, a corrected file, a day more, and the memory of it.

    python benchmarks/loads.py                 # the rossmann retailer of TRENDCAST_REAL_DATA, else a generated one
    python benchmarks/loads.py --rows 5000000  # that many generated rows

Everything runs in a database of its own in a temporary folder. Prints a table in markdown: wall-clock and, because
other work may share the cores, the processor seconds it took in this process and in the server.
"""

from __future__ import annotations

import argparse
import gzip
import os
import resource
import shutil
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd
import psutil

from trendcast import settings
from trendcast.demo import generate
from trendcast.services.load import LoadSummary, load_directory
from trendcast.store import embedded, migrate
from trendcast.store.engine import Database


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the loading of about a million rows.")
    parser.add_argument("--rows", type=int, default=0, help="generate so many rows instead of reading a real retailer")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tc-bench-"))
    folder.chmod(0o755)
    server = embedded.start(folder / "home")
    try:
        db = Database(server.url, role="worker", server=server)
        migrate.upgrade(db)
        measure(db, folder, args.rows, embedded.postmaster(server.data))
        db.close()
    finally:
        server.release()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def measure(db: Database, folder: Path, rows: int, postmaster: psutil.Process | None) -> None:
    real = Path(str(settings.load().real_data)) / "rossmann"
    if rows == 0 and real.is_dir():
        name, source = "rossmann, sales_daily.csv.gz", real
    else:
        name, source = "generated, sales_daily.csv", make(folder / "generated", rows or 1_000_000)
    print(f"| {name} | rows | new | changed | unchanged | seconds | processor seconds |")
    print("|---|---|---|---|---|---|---|")
    row("first load", db, source, postmaster)
    row("the same file again", db, source, postmaster)
    row("corrected: every 100th value", db, correct(source, folder / "corrected"), postmaster)
    row("one day more", db, next_day(source, folder / "next"), postmaster)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nPeak memory of the loading process: {own:.0f} MB. Load average {os.getloadavg()[0]:.1f} on "
          f"{os.cpu_count()} cores.")  # fmt: skip


def row(name: str, db: Database, folder: Path, postmaster: psutil.Process | None) -> None:
    db.ping()
    before = busy(postmaster)
    started = time.perf_counter()
    summary: LoadSummary = load_directory(db, folder, accept=True)
    seconds = time.perf_counter() - started
    sales = summary.table("sales_daily")
    counts = f"{sales.rows:,} | {sales.new:,} | {sales.changed:,} | {sales.unchanged:,}"
    print(f"| {name} | {counts} | {seconds:.1f} | {busy(postmaster) - before:.1f} |", flush=True)


def busy(postmaster: psutil.Process | None) -> float:
    """Processor seconds so far of this process, the server and its present children."""
    times = [time.process_time()]
    for process in [postmaster, *postmaster.children()] if postmaster else []:
        used = process.cpu_times()
        times.append(used.user + used.system)
    return sum(times)


def make(folder: Path, rows: int) -> Path:
    """Generated sales of three years with stores, as a CSV file."""
    folder.mkdir()
    per_series = 3 * 365
    stores = max(rows // per_series // 10 // 5, 1)
    frame = generate(10, 5, stores, 3, date(2026, 6, 30))["sales_daily"]
    frame.to_csv(folder / "sales_daily.csv", index=False)
    return folder


def read(folder: Path) -> pd.DataFrame:
    path = next(folder.glob("sales_daily.csv*"))
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def correct(source: Path, folder: Path) -> Path:
    folder.mkdir()
    frame = read(source)
    frame.loc[::100, "sales_units"] = (frame.loc[::100, "sales_units"].astype(float) + 1).astype(str)
    with gzip.open(folder / "sales_daily.csv.gz", "wt", compresslevel=1) as file:
        frame.to_csv(file, index=False)
    return folder


def next_day(source: Path, folder: Path) -> Path:
    folder.mkdir()
    frame = read(source)
    last = frame["date_id"].max()
    day = frame[frame["date_id"] == last]
    day = day.assign(date_id=str((pd.Timestamp(last) + pd.Timedelta(days=1)).date()))
    day.to_csv(folder / "sales_daily.csv", index=False)
    return folder


if __name__ == "__main__":
    sys.exit(main())
