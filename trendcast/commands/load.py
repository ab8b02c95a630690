"""`load DIR`: bring a retailer's files in."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from trendcast.commands.console import emit, progress_bar
from trendcast.errors import BatchHeld, InvalidInput
from trendcast.settings import Settings

if TYPE_CHECKING:
    from trendcast.services.load import LoadSummary
    from trendcast.services.progress import Progress
    from trendcast.store.engine import Database

HELP = "load sales_daily and the other tables from the files of a folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="holds TABLE.csv, TABLE.csv.gz or TABLE.parquet")
    parser.add_argument("--accept", action="store_true", help="merge also a batch that is held because it looks wrong")
    parser.add_argument("--day-first", action="store_true", help="days are written 31.12.2024 or 31/12/2024")
    parser.add_argument("--dry-run", action="store_true", help="check everything, change nothing")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.services.load import load_directory

    def bring(db: Database, on_progress: Progress) -> LoadSummary:
        return load_directory(
            db,
            args.folder,
            accept=args.accept,
            day_first=args.day_first,
            dry_run=args.dry_run,
            actor=f"command line: {who()}",
            on_progress=on_progress,
        )

    return bring_in(args, settings, bring)


def bring_in(args: argparse.Namespace, settings: Settings, bring: Callable[[Database, Progress], LoadSummary]) -> int:
    """What `load` and `sync` have in common: open the database, ``bring`` the data in, tell the outcome."""
    from trendcast.store.engine import Database

    db = Database.open(settings, role="worker")
    try:
        with progress_bar(args) as on_progress:
            summary = bring(db, on_progress)
    finally:
        db.close()
    emit(args, summary.as_dict(), summary_text(summary))
    finish(summary)
    return summary.exit_code


def who() -> str:
    """The person at the command line, for the audit."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def summary_text(summary: LoadSummary) -> str:
    """The outcome for people, one paragraph per table."""
    lines = []
    if summary.replaced_demo:
        lines.append("The demo retailer's data was replaced by yours.")
    if summary.dry_run:
        lines.append("Dry run: nothing was changed.")
    for table in summary.tables:
        days = f", {table.first_day} to {table.last_day}" if table.first_day and table.last_day else ""
        head = f"{table.table}: {table.rows:,} rows read{days}, {table.seconds:.1f} s"
        if table.status == "same":
            lines.append(f"{head}: nothing to do, {'; '.join(table.notes)}.")
            continue
        if table.status == "empty":
            lines.append(f"{table.table}: {table.source} is {'; '.join(table.notes)}.")
            continue
        lines.append(head)
        if table.status == "merged":
            repeated = f", {table.repeated:,} repeated" if table.repeated else ""
            lines.append(f"  {table.new:,} new, {table.changed:,} changed, {table.unchanged:,} unchanged{repeated}")
        else:
            lines.append(f"  {table.status}: {table.reason}")
        for reason, count in table.quarantined.items():
            lines.append(f"  {count:,} in quarantine: {reason}")
        lines.extend(f"  note: {note}" for note in table.notes)
    lines.append(f"Done in {summary.seconds:.1f} s.")
    return "\n".join(lines)


def finish(summary: LoadSummary) -> None:
    """Raise what a summary with rejected or held tables means, so that it ends in a sentence and an exit code."""
    rejected = [table.reason for table in summary.tables if table.status == "rejected" and table.reason]
    if rejected:
        raise InvalidInput(" ".join(rejected))
    held = [f"{table.source} ({table.reason})" for table in summary.tables if table.status == "held"]
    if held:
        raise BatchHeld(
            f"Held, nothing of it merged: {'; '.join(held)}. Look at it, then run the same command with --accept."
        )
