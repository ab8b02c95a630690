"""`backup`: write everything TrendCast keeps into one file."""

from __future__ import annotations

import argparse
from pathlib import Path

from trendcast.commands.console import emit
from trendcast.settings import Settings

HELP = "write everything TrendCast keeps into one file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="file to write; an older one is replaced when the new one is whole")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.store import backup
    from trendcast.store.engine import Database

    db = Database.open(settings, role="worker")
    try:
        size = backup.dump(db, args.file)
    finally:
        db.close()
    emit(args, {"file": str(args.file), "bytes": size}, f"Wrote {args.file}, {size / 1e6:,.1f} MB.")
    return 0
