"""`sync`: bring over what is new or changed in the customer's own tables."""

from __future__ import annotations

import argparse

from trendcast.commands.console import emit, progress_bar
from trendcast.commands.load import finish, summary_text, who
from trendcast.settings import Settings

HELP = "bring over what is new or changed in your own tables (SOURCE_DATABASE_URL)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--accept", action="store_true", help="merge also a batch that is held because it looks wrong")
    parser.add_argument(
        "--quick", action="store_true", help="look only at the last weeks (TRENDCAST_SYNC_LOOKBACK_DAYS)"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.services.sync import sync
    from trendcast.store.engine import Database

    db = Database.open(settings, role="worker")
    try:
        with progress_bar(args) as on_progress:
            summary = sync(
                db,
                settings,
                full=not args.quick,
                accept=args.accept,
                actor=f"command line: {who()}",
                on_progress=on_progress,
            )
    finally:
        db.close()
    emit(args, summary.as_dict(), summary_text(summary))
    finish(summary)
    return summary.exit_code
