"""A generated, published retailer in a database of its own, for the measurements that need one."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from trendcast import settings
from trendcast.demo import generate
from trendcast.services import jobs
from trendcast.services.load import load_frames
from trendcast.store.engine import Database

LAST_DAY = date(2026, 9, 30)


@dataclass(frozen=True)
class Retailer:
    """``refreshed``: what the refresh answered; ``rows``: of sales; ``load_seconds``, ``refresh_seconds``."""

    db: Database
    rows: int
    refreshed: dict[str, Any]
    load_seconds: float
    refresh_seconds: float


def arguments(description: str, years: int) -> argparse.Namespace:
    """The size of the retailer, as every measurement takes it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--categories", type=int, default=500)
    parser.add_argument("--regions", type=int, default=5)
    parser.add_argument("--years", type=int, default=years)
    return parser.parse_args()


@contextmanager
def published(args: argparse.Namespace) -> Iterator[Retailer]:
    """Load and refresh in a temporary folder, which goes afterwards; this process and its children use it meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="tc-bench-"))
    folder.chmod(0o755)
    os.environ.update(TRENDCAST_HOME=str(folder / "home"), DATABASE_URL="", TRENDCAST_JOBS="off", TZ="UTC")
    db = Database.open(settings.load(), role="worker")
    try:
        frames = generate(args.categories, args.regions, 0, args.years, LAST_DAY)
        started = time.perf_counter()
        load_frames(db, frames, source="benchmark")
        loaded = time.perf_counter() - started
        rows = len(frames["sales_daily"])
        del frames
        started = time.perf_counter()
        result = jobs.run_now(db, settings.load(), "refresh", {})
        yield Retailer(db, rows, result, loaded, time.perf_counter() - started)
    finally:
        db.close()
        if db.server is not None:
            db.server.release()
        shutil.rmtree(folder, ignore_errors=True)
