"""`demo`: fill the database with a synthetic retailer."""

from __future__ import annotations

import argparse
from datetime import date

from trendcast.commands.console import emit, progress_bar
from trendcast.commands.load import summary_text
from trendcast.settings import Settings

HELP = "fill an empty database with a synthetic retailer"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--categories", type=_at_least(1), default=24)
    parser.add_argument("--regions", type=_at_least(1), default=4)
    parser.add_argument("--stores", type=_at_least(0), default=0, help="stores per region; 0: sales by region only")
    parser.add_argument("--years", type=_at_least(1), default=3)
    parser.add_argument("--end", type=date.fromisoformat, default=None, metavar="YYYY-MM-DD", help="last day of sales")
    parser.add_argument("--seed", type=int, default=7)


def _at_least(least: int):  # type: ignore[no-untyped-def]
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}")
        return value

    return number


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.demo import generate
    from trendcast.services.load import DEMO, clear, load_frames
    from trendcast.store.engine import Database

    db = Database.open(settings, role="worker")
    try:
        with progress_bar(args) as on_progress:
            clear(db)
            on_progress("making the demo retailer", 0, 1)
            frames = generate(args.categories, args.regions, args.stores, args.years, args.end, args.seed)
            on_progress("making the demo retailer", 1, 1)
            summary = load_frames(db, frames, source=DEMO, on_progress=on_progress)
    finally:
        db.close()
    emit(args, summary.as_dict(), summary_text(summary))
    return summary.exit_code
