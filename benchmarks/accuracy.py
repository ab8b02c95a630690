"""Accuracy and coverage on a real retailer: every member, the combination and the naives, at rolling origins.

    python benchmarks/accuracy.py                    # m5, 84 days, 6 origins 28 days apart
    python benchmarks/accuracy.py --retailer rossmann

Reads the retailer's files (folder TRENDCAST_REAL_DATA); each origin sees only what was known on it. Prints tables in
markdown.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd

from trendcast import settings
from trendcast.panel import LEVELS, Panel
from trendcast.services.backtest import evaluate


def read(folder: Path) -> Panel:
    sales = pd.read_csv(folder / "sales_daily.csv.gz", keep_default_na=False, na_values={"sales_units": [""]})
    events = pd.read_csv(folder / "events.csv", keep_default_na=False)
    return Panel.from_frames(sales, events)


def main() -> int:
    parser = argparse.ArgumentParser(description="Backtest a real retailer.")
    parser.add_argument("--retailer", default="m5", choices=["m5", "rossmann"])
    parser.add_argument("--horizon", type=int, default=84)
    parser.add_argument("--origins", type=int, default=6)
    parser.add_argument("--step", type=int, default=28)
    args = parser.parse_args()
    folder = Path(str(settings.load().real_data)) / args.retailer
    if not folder.is_dir():
        print(f"Skipped: {args.retailer} is not at {folder.parent} (setting TRENDCAST_REAL_DATA).")
        return 0
    panel = read(folder)
    started = time.perf_counter()
    result = evaluate(panel, horizon=args.horizon, origins=args.origins, step=args.step)
    seconds = time.perf_counter() - started
    figures = pd.DataFrame(result["metrics"])
    overall = figures[figures["horizon_week"] == 0]
    models = list(dict.fromkeys(["combination", *overall["model"]]))
    levels = [level for level in LEVELS if level in set(overall["level"])]
    print(f"{args.retailer}: {panel.n_series:,} bottom series, {args.horizon} days ahead, {args.origins} origins")
    print(f"({result['origins'][0]} to {result['origins'][-1]}); {seconds:.0f} s in all,")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MB at the peak\n")
    for name, title in (("wape", "WAPE by day"), ("mape_weekly", "MAPE of 7-day sums")):
        print(f"{title}:\n\n| level | " + " | ".join(models) + " |\n|---|" + "---|" * len(models))
        for level in levels:
            row = overall[overall["level"] == level].set_index("model")[name]
            print(f"| {level} | " + " | ".join(f"{row[model]:.2%}" for model in models) + " |")
        print()
    print("The combination:\n\n| level | bias | MASE | scaled pinball | 80 % held | 95 % held |")
    print("|---|---|---|---|---|---|")
    for level in levels:
        row = overall[(overall["level"] == level) & (overall["model"] == "combination")].iloc[0]
        print(
            f"| {level} | {row['bias']:+.2%} | {row['mase']:.3f} | {row['scaled_pinball']:.3f} "
            f"| {row['coverage80']:.1%} | {row['coverage95']:.1%} |"
        )
    bottom = figures[(figures["level"] == levels[-1]) & (figures["model"] == "combination")]
    print(f"\nBy week ahead, {levels[-1]}:\n\n| week | WAPE | bias | 80 % held | 95 % held |\n|---|---|---|---|---|")
    for row in bottom[bottom["horizon_week"] > 0].itertuples():
        print(
            f"| {row.horizon_week} | {row.wape:.2%} | {row.bias:+.2%} | {row.coverage80:.1%} | {row.coverage95:.1%} |"
        )
    if result["failures"]:
        print(f"\nLeft out: {result['failures']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
