"""`session`: who is signed in, and ending all sessions of somebody who must not be."""

from __future__ import annotations

import argparse
import getpass
from datetime import UTC, datetime

from trendcast.commands.console import emit
from trendcast.errors import NotFound, UsageError
from trendcast.settings import Settings

HELP = "who is signed in (session list), and ending their sessions (session end NAME)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["list", "end"])
    parser.add_argument("name", nargs="?", default="", help="the person, as the list names them")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.services import sessions
    from trendcast.store.engine import Database

    if args.action == "end" and not args.name:
        raise UsageError("session end needs the name of the person.")
    now = datetime.now(UTC)
    db = Database.open(settings, role="worker")
    try:
        if args.action == "end":
            ended = sessions.end_all(db, now, args.name, f"command:{getpass.getuser()}")
            if not ended:
                raise NotFound(f"Nobody called '{args.name[:100]}' is signed in.")
            emit(args, {"ended": ended}, f"{args.name} is signed out everywhere within a minute.")
        else:
            found = sessions.listed(db, now)
            lines = [f"{row['person']}: {row['role']}, until {row['expires_at']:%H:%M} UTC" for row in found]
            emit(args, {"sessions": found}, "\n".join(lines) or "Nobody is signed in.")
    finally:
        db.close()
    return 0
