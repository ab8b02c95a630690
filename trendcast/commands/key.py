"""`key`: make, list and revoke keys of the REST service."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from trendcast.commands.console import emit
from trendcast.errors import UsageError
from trendcast.settings import Settings

HELP = "make, list and revoke keys of the REST service (key create NAME)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["create", "list", "revoke"])
    parser.add_argument("name", nargs="?", default="", help="who or what uses the key")
    parser.add_argument("--scope", choices=["read", "write", "admin"], default="read", help="what it allows")
    parser.add_argument("--days", type=int, default=365, help="days until it ends")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.services import keys
    from trendcast.store.engine import Database

    if args.action != "list" and not args.name:
        raise UsageError(f"key {args.action} needs the name of the key.")
    now, who = datetime.now(UTC), f"command:{getpass.getuser()}"
    db = Database.open(settings, role="worker")
    try:
        if args.action == "create":
            key = keys.create(db, now, args.name, args.scope, args.days, who)
            emit(args, {"name": args.name, "key": key}, f"{key}\nKeep it now: it is not shown again.")
        elif args.action == "revoke":
            keys.revoke(db, now, args.name, who)
            emit(args, {"revoked": args.name}, f"The key '{args.name}' is revoked.")
        else:
            found = keys.listed(db)
            emit(args, {"keys": found}, "\n".join(_line(row, now) for row in found) or "There are no keys.")
    finally:
        db.close()
    return 0


def _line(row: Mapping[str, Any], now: datetime) -> str:
    state = "revoked" if row["revoked_at"] else "over" if row["expires_at"] <= now else "valid"
    used = f"last used {row['last_used_at']:%Y-%m-%d}" if row["last_used_at"] else "never used"
    return f"{row['name']}: {', '.join(row['scopes'])}, {state} until {row['expires_at']:%Y-%m-%d}, {used}"
