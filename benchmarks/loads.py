"""How long loading takes: a first load, the same file again, a corrected file, a day more, and the memory of it.

    python benchmarks/loads.py                 # the rossmann retailer of TRENDCAST_REAL_DATA, else a generated one
    python benchmarks/loads.py --rows 5000000  # that many generated rows

Everything runs in a database of its own in a temporary folder. Prints a table in markdown: wall-clock and, because
other work may share the cores, the processor seconds it took in this process and in the server.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd
import psutil

from trendcast import settings
from trendcast.demo import generate
from trendcast.services.load import load_directory
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
        migrate.upgrade(server.url)
        measure(server, folder, args.rows)
    finally:
        server.release()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def measure(server: embedded.Server, folder: Path, rows: int) -> None:
    real = Path(str(settings.load().real_data)) / "rossmann"
    if rows == 0 and real.is_dir():
        name, source = "rossmann, sales_daily.csv.gz", real
    else:
        name, source = "generated, sales_daily.csv", make(folder / "generated", rows or 1_000_000)
    print(f"| {name} | rows | new | changed | unchanged | seconds | processor seconds | peak MB |")
    print("|---|---|---|---|---|---|---|---|")
    row("first load", server, source)
    row("the same file again", server, source)
    row("corrected: every 100th value", server, correct(source, folder / "corrected"))
    row("one day more", server, next_day(source, folder / "next"))
    print(f"\nLoad average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")


def row(name: str, server: embedded.Server, folder: Path) -> None:
    """One load in a process of its own, so that its memory is its own."""
    before = busy(server)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        rows, new, changed, unchanged, seconds, used, peak = pool.submit(load, server.url, folder).result()
    counts = f"{rows:,} | {new:,} | {changed:,} | {unchanged:,}"
    print(f"| {name} | {counts} | {seconds:.1f} | {used + busy(server) - before:.1f} | {peak:.0f} |", flush=True)


def load(url: str, folder: Path) -> tuple[int, int, int, int, float, float, float]:
    """Load the folder: rows, new, changed, unchanged, seconds, processor seconds and peak MB of this process."""
    db = Database(url, role="worker")
    started, used = time.perf_counter(), time.process_time()
    summary = load_directory(db, folder, accept=True)
    seconds, used = time.perf_counter() - started, time.process_time() - used
    db.close()
    sales = summary.table("sales_daily")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return sales.rows, sales.new, sales.changed, sales.unchanged, seconds, used, peak


def busy(server: embedded.Server) -> float:
    """Processor seconds of the server so far, with the connections that have ended."""
    postmaster = embedded.postmaster(server.data)
    if postmaster is None:
        return 0.0
    times = postmaster.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for process in postmaster.children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a connection may end meanwhile; the postmaster then counts it
            used = process.cpu_times()
            total += used.user + used.system
    return total


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
