"""`status`: what there is and how it is."""

from __future__ import annotations

import argparse
from typing import Any

from trendcast.commands.console import emit
from trendcast.settings import Settings

HELP = "show the database, the data, the current run and the jobs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.services import status as service
    from trendcast.store.engine import Database

    before = service.embedded_condition(settings)
    db = Database.open(settings, role="worker", check_schema=False)
    try:
        found = service.status(db, settings, embedded=before)
    finally:
        db.close()
    emit(args, found, status_text(found))
    return 0


def status_text(found: dict[str, Any]) -> str:
    """The state for people, one line per thing."""
    database, schema = found["database"], found["schema"]
    lines = [
        f"TrendCast {found['version']}",
        f"database  {database['kind']} PostgreSQL {database['version']}, {database['name']},"
        f" {database['bytes'] / 1024**2:,.0f} MB, {1000 * database['ping_seconds']:.1f} ms away",
    ]
    server = database["embedded"]
    if server:
        lines.append(f"          in {server['folder']}, {server['free_bytes'] / 1024**3:,.0f} GB free")
        if server["orphan"]:
            lines.append("          was left running by a process that was killed; it stops with this command")
    lines.append(
        f"schema    {schema['at'] or 'none'}" + ("" if schema["current"] else f", must be {schema['head']}: db upgrade")
    )
    if "data" in found:
        lines += _data_lines(found)
    health = found["health"]
    lines.append(f"health    {health['status']}" + "".join(f"\n          {reason}" for reason in health["reasons"]))
    return "\n".join(lines)


def _data_lines(found: dict[str, Any]) -> list[str]:
    data, loads, run = found["data"], found["loads"], found["run"]
    lines = ["data      nothing loaded yet"]
    if data["rows"]:
        lines = [
            f"data      {data['rows']:,} rows of sales, {data['first_day']} to {data['last_day']}; "
            f"{data['categories']:,} categories, {data['regions']:,} regions, {data['stores']:,} stores"
        ]
    lines.append(
        f"loads     {loads['merged']:,} merged, {loads['held']:,} held, {loads['quarantined']:,} rows in quarantine"
    )
    if run is None:
        lines.append("run       nothing published yet")
    else:
        newer = f"; {run['newer_batches']} newer loads wait" if run["newer_batches"] else ""
        lines.append(
            f"run       {run['id']} ({run['kind']}), {run['n_series']:,} series, {run['horizon']} days from "
            f"{run['last_day']}, published {run['published_at']:%Y-%m-%d %H:%M} UTC, "
            f"{_age(run['age_seconds'])} ago{newer}"
        )
    for job in found["jobs"]:
        told = f", {job['stage']} {job['done']}/{job['total']}" if job["at_work"] and job["stage"] else ""
        seconds = f", {job['seconds']:.0f} s" if job["seconds"] is not None else ""
        error = f": {job['error']}" if job["error"] else ""
        lines.append(f"job       {job['id']} {job['name']} {job['state']}{told}{seconds}{error}")
    return lines


def _age(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
