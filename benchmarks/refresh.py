"""How long the first refresh takes and how much memory: load, fit, combine, calibrate, check, publish, from scratch.

    python benchmarks/refresh.py                                   # 500 categories x 5 regions x 3 years: 2,500 series
    python benchmarks/refresh.py --categories 24 --regions 4       # the demo retailer

A generated retailer in a database of its own in a temporary folder. The refresh runs in its child process, as it does
for users. Prints a table in markdown: seconds by stage, and the child's peak memory.
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

from trendcast import settings
from trendcast.demo import generate
from trendcast.services import jobs
from trendcast.services.load import load_frames
from trendcast.store.engine import Database


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the first refresh.")
    parser.add_argument("--categories", type=int, default=500)
    parser.add_argument("--regions", type=int, default=5)
    parser.add_argument("--years", type=int, default=3)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tc-bench-"))
    folder.chmod(0o755)
    os.environ.update(TRENDCAST_HOME=str(folder / "home"), DATABASE_URL="")
    db = Database.open(settings.load(), role="worker")
    try:
        frames = generate(args.categories, args.regions, 0, args.years, date(2026, 9, 30))
        started = time.perf_counter()
        load_frames(db, frames, source="benchmark")
        loaded = time.perf_counter() - started
        rows = len(frames.pop("sales_daily"))
        del frames
        started = time.perf_counter()
        result = jobs.run_now(db, settings.load(), "refresh", {})
        seconds = time.perf_counter() - started
        size = result["levels"]
        print(f"{rows:,} rows of sales, {sum(size.values()):,} series at {len(size)} levels, {args.years} years\n")
        print("| stage | seconds |\n|---|---|")
        print(f"| (load) | {loaded:.1f} |")
        for stage, spent in result["seconds"].items():
            print(f"| {stage.lower()} | {spent:.1f} |")
        print(f"| **refresh, from the command to the published run** | **{seconds:.1f}** |")
        print(f"\nPeak memory of the child: {result['peak_memory_mb']:,} MB. Members: {', '.join(result['members'])}.")
        if result["failures"]:
            print(f"Left out: {result['failures']}")
    finally:
        db.close()
        if db.server is not None:
            db.server.release()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
