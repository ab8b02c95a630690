"""`demo`: fill the database with a made-up retailer that has a past, or let it live one day further."""

from __future__ import annotations

import argparse
from datetime import date

from trendcast.commands.console import emit, progress_bar
from trendcast.settings import Settings

HELP = "fill an empty database with a made-up retailer, or append its next day"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--categories", type=_at_least(1), default=24)
    parser.add_argument("--regions", type=_at_least(1), default=4)
    parser.add_argument("--stores", type=_at_least(0), default=0, help="stores per region; 0: sales by region only")
    parser.add_argument("--years", type=_at_least(1), default=3)
    parser.add_argument(
        "--end",
        type=date.fromisoformat,
        default=None,
        metavar="YYYY-MM-DD",
        help="last day of sales, yesterday if left out",
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--no-history", action="store_true", help="one forecast of the newest day instead of three months of use"
    )
    parser.add_argument("--next-day", action="store_true", help="append a day to the demo retailer that is there")


def _at_least(least: int):  # type: ignore[no-untyped-def]
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}")
        return value

    return number


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.services import jobs
    from trendcast.store.engine import Database

    db = Database.open(settings, role="worker")
    try:
        with progress_bar(args) as on_progress:
            name = "next_day" if args.next_day else "demo"
            result = jobs.run_now(db, settings, name, {} if args.next_day else _arguments(args), on_progress)
    finally:
        db.close()
    emit(args, result, _next_text(result) if args.next_day else _text(result))
    return 0


def _arguments(args: argparse.Namespace) -> dict[str, object]:
    asked: dict[str, object] = {
        name: getattr(args, name) for name in ("categories", "regions", "stores", "years", "seed")
    }
    if args.end is not None:
        asked["end"] = str(args.end)
    if args.no_history:
        asked["weeks"] = 0
    return asked


def _text(result: dict[str, object]) -> str:
    series = sum(result["levels"].values())  # type: ignore[attr-defined]
    seconds = sum(result["seconds"].values())  # type: ignore[attr-defined]
    lines = [
        f"The demo retailer is there: {result['rows']:,} rows, {result['first_day']} to {result['last_day']}.",
        f"Run {result['run_id']} is published: {series:,} series, after {seconds:.0f} s in all.",
    ]
    if result["weeks"]:
        lines.append(
            f"Its last {result['weeks']} Mondays brought {result['incidents']} incidents; its people answered "
            f"{result['moves']} times and took {result['decisions']} decisions."
        )
    return "\n".join(lines)


def _next_text(result: dict[str, object]) -> str:
    opened = result["incidents"]
    return "\n".join(
        [
            f"{result['day']} is loaded: {result['units']:,.0f} units, {len(opened)} new incidents.",  # type: ignore[arg-type]
            *(f"- {one['headline']}" for one in opened),  # type: ignore[attr-defined]
            f"Run {result['run_id']} is published.",
        ]
    )
