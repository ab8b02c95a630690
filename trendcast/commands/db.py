"""`db upgrade`: the one command that changes the database's schema."""

from __future__ import annotations

import argparse

from trendcast.commands.console import emit
from trendcast.settings import Settings

HELP = "upgrade the database's schema to this version (db upgrade)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["upgrade"], help="upgrade: bring the schema to this version")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.store import migrate
    from trendcast.store.engine import Database

    db = Database.open(settings, role="worker", check_schema=False)
    try:
        applied = migrate.upgrade(db)
    finally:
        db.close()
    head = migrate.head()
    text = f"Applied {', '.join(applied)}: the schema is at {head}." if applied else f"The schema is at {head} already."
    emit(args, {"applied": applied, "schema": head}, text)
    return 0
