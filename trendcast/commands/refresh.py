"""Compute and publish a new run of forecasts."""

from __future__ import annotations

import argparse

from trendcast.commands.console import emit, progress_bar
from trendcast.settings import Settings

HELP = "forecast every series and publish the result"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command has no options of its own."""


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.services import jobs
    from trendcast.store.engine import Database

    db = Database.open(settings, role="worker")
    try:
        with progress_bar(args) as on_progress:
            result = jobs.run_now(db, settings, "refresh", {}, on_progress)
    finally:
        db.close()
    seconds = sum(result["seconds"].values())
    series = sum(result["levels"].values())
    lines = [f"Run {result['run_id']} is published: {series:,} series in {seconds:.0f} s."]
    lines += [f"The model '{name}' was left out: {reason}" for name, reason in result["failures"].items()]
    emit(args, result, "\n".join(lines))
    return 0
