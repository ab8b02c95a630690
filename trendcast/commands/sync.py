"""`sync`: bring over what is new or changed in the customer's own tables."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from trendcast.commands.load import bring_in, who
from trendcast.settings import Settings

if TYPE_CHECKING:
    from trendcast.services.load import LoadSummary
    from trendcast.services.progress import Progress
    from trendcast.store.engine import Database

HELP = "bring over what is new or changed in your own tables (SOURCE_DATABASE_URL)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--accept", action="store_true", help="merge also a batch that is held because it looks wrong")
    parser.add_argument(
        "--quick", action="store_true", help="look only at the last weeks (TRENDCAST_SYNC_LOOKBACK_DAYS)"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.services.sync import sync

    def bring(db: Database, on_progress: Progress) -> LoadSummary:
        return sync(
            db,
            settings,
            full=not args.quick,
            accept=args.accept,
            actor=f"command line: {who()}",
            on_progress=on_progress,
        )

    return bring_in(args, settings, bring)
