"""How long one read of the feature view takes at 2.7 million rows: 500 categories, 5 regions, 3 years.

    python benchmarks/feature_view.py [--categories 500] [--reads 40]

Everything runs in a database of its own in a temporary folder. Prints a table in markdown: wall-clock of the whole read
(SQL, transport, frame) and, because other work may share the cores, the processor time it took in server and client.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import psutil
from sqlalchemy import text

from trendcast.demo import generate
from trendcast.services.load import load_frames
from trendcast.store import embedded, migrate
from trendcast.store.engine import Database


def main() -> int:
    parser = argparse.ArgumentParser(description="Time reads of the feature view.")
    parser.add_argument("--categories", type=int, default=500)
    parser.add_argument("--reads", type=int, default=40)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tc-bench-"))
    folder.chmod(0o755)
    server = embedded.start(folder / "home")
    try:
        db = Database(server.url, role="worker", server=server)
        migrate.upgrade(db)
        started = time.perf_counter()
        frames = generate(args.categories, 5, 0, 3, date(2026, 6, 30))
        made = time.perf_counter()
        load_frames(db, frames, source="demo")
        loaded = time.perf_counter()
        count = len(frames["sales_daily"])
        print(
            f"{count:,} rows of sales: made in {made - started:.0f} s, loaded with the rest in {loaded - made:.0f} s.\n"
        )
        names = frames["sales_daily"]["product_category"].cat.categories
        print("| read | rows | target ms | p50 ms | p95 ms | processor ms (server + client) |")
        print("|---|---|---|---|---|---|")
        measure(db, "one series", [([name], ["North"]) for name in names[: args.reads]], 50)
        measure(db, "one category, five regions", [([name], []) for name in names[: args.reads]], 150)
        print(f"\nEach read another category. Load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
        db.close()
    finally:
        server.release()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def measure(db: Database, name: str, selections: list[tuple[list[str], list[str]]], target: int) -> None:
    seconds, processor, rows = [], [], 0
    with db.read() as connection:
        backend = psutil.Process(connection.execute(text("SELECT pg_backend_pid()")).scalar())
        client = psutil.Process()
        for categories, regions in selections:
            before = busy(backend) + busy(client)
            started = time.perf_counter()
            frame = db.frame("feature_rows", connection=connection, categories=categories, regions=regions)
            seconds.append(time.perf_counter() - started)
            processor.append(busy(backend) + busy(client) - before)
            rows = len(frame)
    p50, p95 = np.percentile(np.array(seconds) * 1000, [50, 95])
    print(f"| {name} | {rows:,} | {target} | {p50:.0f} | {p95:.0f} | {1000 * np.mean(processor):.0f} |", flush=True)


def busy(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    sys.exit(main())
