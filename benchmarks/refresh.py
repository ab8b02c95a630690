"""How long the first refresh takes and how much memory: load, fit, combine, calibrate, check, publish, from scratch.

    python benchmarks/refresh.py                                   # 500 categories x 5 regions x 3 years: 2,500 series
    python benchmarks/refresh.py --categories 24 --regions 4       # the demo retailer

A generated retailer in a database of its own in a temporary folder. The refresh runs in its child process, as it does
for users. Prints a table in markdown: seconds by stage, and the child's peak memory.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _retailer as retailer


def main() -> int:
    args = retailer.arguments("Time the first refresh.", years=3)
    with retailer.published(args) as shop:
        result, size = shop.refreshed, shop.refreshed["levels"]
        print(f"{shop.rows:,} rows of sales, {sum(size.values()):,} series at {len(size)} levels, {args.years} years\n")
        print("| stage | seconds |\n|---|---|")
        print(f"| (load) | {shop.load_seconds:.1f} |")
        for stage, spent in result["seconds"].items():
            print(f"| {stage.lower()} | {spent:.1f} |")
        print(f"| **refresh, from the command to the published run** | **{shop.refresh_seconds:.1f}** |")
        print(f"\nPeak memory of the child: {result['peak_memory_mb']:,} MB. Members: {', '.join(result['members'])}.")
        if result["failures"]:
            print(f"Left out: {result['failures']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
