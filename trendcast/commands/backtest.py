"""Score what would have been published at past origins."""

from __future__ import annotations

import argparse
from pathlib import Path

from trendcast.commands.console import emit, progress_bar
from trendcast.settings import Settings

HELP = "score past forecasts made with what was known then"
SHOWN = (
    ("wape", "WAPE"),
    ("bias", "bias"),
    ("mape_weekly", "MAPE, weekly"),
    ("coverage80", "80 % held"),
    ("coverage95", "95 % held"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--horizon", type=int, default=84, metavar="DAYS", help="days ahead to score (84)")
    parser.add_argument("--origins", type=int, default=6, metavar="N", help="number of origins (6)")
    parser.add_argument("--step", type=int, default=28, metavar="DAYS", help="days between origins (28)")
    parser.add_argument("--predictions", metavar="FILE.parquet", help="write every prediction to this file")
    parser.add_argument("--quantiles", metavar="Q,Q,...", type=_levels, help="quantile levels for the file")


def _levels(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError("numbers between 0 and 1, separated by commas") from None


def run(args: argparse.Namespace, settings: Settings) -> int:
    from trendcast.services import jobs
    from trendcast.store.engine import Database

    arguments = {"horizon": args.horizon, "origins": args.origins, "step": args.step}
    if args.predictions:
        arguments["predictions"] = str(Path(args.predictions).resolve())
    if args.quantiles:
        arguments["quantiles"] = args.quantiles
    db = Database.open(settings, role="worker")
    try:
        with progress_bar(args) as on_progress:
            result = jobs.run_now(db, settings, "backtest", arguments, on_progress)
    finally:
        db.close()
    emit(args, result, _text(result))
    return 0


def _text(result: dict) -> str:
    """The figures over all horizon weeks, a line per level and model."""
    lines = [
        f"{len(result['origins'])} origins, {result['origins'][0]} to {result['origins'][-1]}, "
        f"{result['horizon']} days ahead",
        f"{'level':<16} {'model':<12} " + " ".join(f"{title:>12}" for _, title in SHOWN),
    ]
    for row in result["metrics"]:
        if row["horizon_week"] == 0:
            figures = " ".join(f"{'-' if row.get(name) is None else format(row[name], '.1%'):>12}" for name, _ in SHOWN)
            lines.append(f"{row['level']:<16} {row['model']:<12} {figures}")
    lines += [f"The model '{name}' was left out: {reason}" for name, reason in result["failures"].items()]
    return "\n".join(lines)
