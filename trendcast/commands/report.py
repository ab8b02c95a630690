"""`report`: what to expect, how sure that is and what to do, per category, on the terminal, as a page and as charts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from trendcast.commands.console import emit, progress_bar
from trendcast.settings import Settings

HELP = "print anomalies, accuracy and recommendations per category; write a page and charts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--category", action="append", default=[], metavar="C", help="only this one; may be repeated")
    parser.add_argument("--region", metavar="R", help="only this region; without it all together")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where files go (outputs/ under TRENDCAST_HOME)")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.services import executive, pictures, runtime
    from trendcast.store.engine import Database

    db = Database.open(settings, role="worker")
    try:
        with progress_bar(args) as on_progress:
            summary = executive.collect(db, categories=args.category, region=args.region, on_progress=on_progress)
            told = executive.write(summary, runtime.clock(), args.out or pictures.outputs(), on_progress)
    finally:
        db.close()
    emit(args, told, _text(told))
    return 0


def _text(told: dict[str, Any]) -> str:
    from trendcast import wording

    lines = [f"Data to {wording.day(told['last_day'])}, forecast {told['run_id']}.", *told["findings"], ""]
    for one in told["categories"]:
        lines.append(f"{one['product_category']}: {_count(one, told['anomaly_weeks'])}, MAPE {_error(one['mape'])}")
        lines.append(f"  {one['finding']}")
        lines += [f"  - {recommendation['sentence']}" for recommendation in one["recommendations"]]
    width = max([len(one["product_category"]) for one in told["categories"]] + [len("category")])
    lines += ["", "EXECUTIVE SUMMARY", f"{'category':<{width}}  {'MAPE':>8}  {'recommendations':>15}  {'anomalies':>9}"]
    for one in told["categories"]:
        found = "-" if one["anomalies"] is None else one["anomalies"]["total"]
        lines.append(
            f"{one['product_category']:<{width}}  {_error(one['mape']):>8}  {len(one['recommendations']):>15}  "
            f"{found:>9}"
        )
    lines += ["", "MAPE is out of sample: of past forecasts, weekly, as far ahead.", *told["notes"]]
    charts = len(told["files"]["charts"])
    lines.append(f"Written: {told['files']['html']} and {charts} {'chart' if charts == 1 else 'charts'} beside it.")
    return "\n".join(lines)


def _count(one: dict[str, Any], weeks: int) -> str:
    found = one["anomalies"]
    if found is None:
        return "not checked for anomalies yet"
    said = f"{found['total']} {'anomaly' if found['total'] == 1 else 'anomalies'} in the last {weeks} weeks"
    return f"{said} ({found['HIGH']} HIGH)" if found["HIGH"] else said


def _error(percent: float | None) -> str:
    from trendcast import wording

    return "unknown" if percent is None else wording.percent(percent / 100, 1)
