"""How long a what-if takes: learning the drivers, a simulation in process, and a redraw of the page in a real browser.

    python benchmarks/what_if.py                                 # the demo retailer, 24 categories x 4 regions
    python benchmarks/what_if.py --categories 500 --regions 5    # 2,500 series

A generated, published retailer in a database of its own in a temporary folder. The redraw needs Debian's chromium and
playwright and is left out without them. Prints a table in markdown.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks import _browser
from benchmarks import _retailer as retailer

ROUNDS = 60


def main() -> int:
    parser = argparse.ArgumentParser(description="Time what-ifs.")
    for name, default in (("categories", 24), ("regions", 4), ("years", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    with retailer.published(args) as shop:
        seconds = shop.refreshed["seconds"].get("Learning the drivers")
        print("| what | p50 | p95 |\n|---|---|---|")
        print(f"| learning the drivers of {args.categories * args.regions:,} series | {seconds:.2f} s | |")
        simulations(shop.db)
        redraw()
    return 0


def simulations(db: Any) -> None:
    from trendcast.services import forecast, what_if

    rng = random.Random(1)
    run = forecast.current_run(db)
    ids = forecast.series_index(db, run.id)["series_id"].tolist()
    first = run.business_date

    def changes() -> what_if.Changes:
        start = first + timedelta(days=rng.randrange(60))
        return what_if.Changes(
            (what_if.Change("price", rng.uniform(-0.2, 0.2), start, start + timedelta(days=20)),),
            (what_if.Promotion(start, start + timedelta(days=6), rng.random() < 0.5),),
        )

    for count in (1, 50):
        chosen = [rng.sample(ids, min(count, len(ids))) for _ in range(ROUNDS)]
        cold, warm = [], []
        for some in chosen:
            cold.append(what_if.simulate(db, run, some, changes()).seconds)
            base = what_if.baseline(db, run, some)
            warm.append(what_if.simulate_on(base, changes()).seconds)
        row(f"simulate {count} series, read from the database", cold)
        row(f"simulate {count} series, baseline at hand (a slider moves)", warm)


def row(what: str, seconds: list[float]) -> None:
    low, high = np.percentile(seconds, [50, 95])
    print(f"| {what} | {1000 * low:.0f} ms | {1000 * high:.0f} ms |", flush=True)


def redraw() -> None:
    """A key on the price slider until the sentence above the chart is the new one."""
    chromium = _browser.program()
    if chromium is None:
        print("| redraw of the page: left out, chromium or playwright is missing | | |")
        return
    with _browser.dashboard() as (site, _), _browser.browser(chromium) as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{site}/what-if", timeout=60_000)
        slider = page.locator('[data-testid="stSlider"]', has_text="Price").locator('input[type="range"]').first
        slider.wait_for(timeout=120_000, state="attached")
        heading = page.locator("h4")
        slider.focus()
        seconds = []
        for number in range(20):
            before = heading.first.inner_text()
            started = time.perf_counter()
            page.keyboard.press("ArrowLeft")
            page.wait_for_function(
                "text => document.querySelector('h4') && document.querySelector('h4').innerText !== text",
                arg=before,
                polling=10,
                timeout=10_000,
            )
            if number > 1:
                seconds.append(time.perf_counter() - started)
            page.wait_for_timeout(700)
    row("redraw of the page after a slider moved", seconds)


if __name__ == "__main__":
    raise SystemExit(main())
