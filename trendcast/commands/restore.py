"""`restore`: bring a backup back."""

from __future__ import annotations

import argparse
from pathlib import Path

from trendcast.commands.console import emit
from trendcast.settings import Settings

HELP = "bring a backup back, into an empty database or with --replace"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path)
    parser.add_argument("--replace", action="store_true", help="also where the database holds data, which then is gone")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.store import backup
    from trendcast.store.engine import Database

    # Whatever schema is there, or none: what comes back brings its own.
    db = Database.open(settings, role="worker", check_schema=False)
    try:
        backup.restore(db, args.file, replace=args.replace)
    finally:
        db.close()
    emit(args, {"restored": str(args.file)}, f"Restored {args.file}.")
    return 0
