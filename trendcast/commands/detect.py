"""Look for anomalies in what has arrived."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from trendcast.commands.console import emit, progress_bar
from trendcast.settings import Settings

HELP = "look for anomalies in days that are new or changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would be found and write nothing")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.services import incidents, jobs
    from trendcast.services.detect import detect
    from trendcast.store.engine import Database

    db = Database.open(settings, role="worker")
    try:
        with progress_bar(args) as on_progress:
            if args.dry_run:
                result = detect(db, lambda: datetime.now(UTC), on_progress, None, trigger="api", dry_run=True)
            else:
                result = jobs.run_now(db, settings, "detect", {"trigger": "api"}, on_progress)
        said = "" if args.dry_run else incidents.finding(db)
    finally:
        db.close()
    days = "1 day" if result["days"] == 1 else f"{result['days']} days"
    lines = [
        f"{result['n_series']:,} series, {days} up to {result['as_of']}: {result['n_flagged']} entries in "
        f"{result['incidents']} incidents, {result['seconds']:.1f} s."
    ]
    lines += [
        f"{one['impact']:<6} {one['date']} {one['class']:<12} "
        + " / ".join(part for part in (one["product_category"], one["region"], one["store"]) if part)
        + f": {one['actual_sales']:,.0f} sold, {one['expected_sales'] or 0:,.0f} expected"
        for one in result["anomalies"]
        if not one["member"] and args.dry_run
    ]
    emit(args, result, "\n".join([*lines, said]).rstrip())
    return 0
