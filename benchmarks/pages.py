"""What the Forecasts page costs: seconds until the first chart in a real browser, processor time of a warm rerun.

    python benchmarks/pages.py                                # 500 categories x 5 regions x 2 years
    python benchmarks/pages.py --categories 24 --regions 4    # the demo retailer

Needs Debian's chromium. A generated, published retailer in a database of its own in a temporary folder; the server as
users run it, without its job worker. Prints a table in markdown.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import psutil

from benchmarks import _browser
from benchmarks import _retailer as retailer
from benchmarks._browser import IDLE

CHART = '[data-testid="stPlotlyChart"] .main-svg'


def main() -> int:
    args = retailer.arguments("Time the Forecasts page.", years=2)
    chromium = _browser.program()
    if chromium is None:
        print("Skipped: chromium is not installed (apt-get install chromium), or playwright is not.")
        return 0
    with retailer.published(args) as shop:
        names = sorted({row["product_category"] for row in shop.db.rows("series_all")} - {""})[:12]
        with _browser.dashboard() as (site, pid), _browser.browser(chromium) as browser:
            measure(browser, site, psutil.Process(pid), names)
    return 0


def measure(browser: Any, site: str, server: psutil.Process, names: list[str]) -> None:
    def visit(context: Any, path: str) -> float:
        """Seconds from nothing to the first chart, in a new tab."""
        page = context.new_page()
        started = time.perf_counter()
        page.goto(site + path)
        page.locator(CHART).first.wait_for(timeout=60_000)
        spent = time.perf_counter() - started
        page.locator(IDLE).wait_for(timeout=60_000)
        page.close()
        return spent

    wide = {"width": 1440, "height": 1000}
    cold = visit(browser.new_context(viewport=wide), "/forecasts")
    links = [f"/forecasts?level=category&category={quote_plus(name)}" for name in names]
    strangers = [visit(browser.new_context(viewport=wide), link) for link in links[:4]]
    regular = browser.new_context(viewport=wide)
    visit(regular, "/forecasts")
    fresh = [visit(regular, link) for link in links[4:]]
    again = [visit(regular, link) for link in links]
    # Warm reruns: the same page switched between weeks and days, by a visitor who stays.
    page = regular.new_page()
    page.goto(site + links[0])
    page.locator(CHART).first.wait_for(timeout=60_000)
    for label in ("Days", "Weeks"):  # both figures made once
        page.get_by_role("radio", name=label).first.click(force=True)
        time.sleep(1.5)
    page.locator(IDLE).wait_for()
    before, count = server.cpu_times(), 20
    for turn in range(count):
        page.get_by_role("radio", name=("Days", "Weeks")[turn % 2]).first.click(force=True)
        time.sleep(0.7)
        page.locator(IDLE).wait_for()
    after = server.cpu_times()
    cpu = (after.user + after.system - before.user - before.system) / count
    print("| Forecasts page | target | measured |\n|---|---|---|")
    print(f"| first chart, first visitor of a fresh server | | {cold:.1f} s |")
    print(f"| first chart, a browser that was never here, p50 (worst) | | {spread(strangers)} |")
    print(f"| first chart, a selection nobody has looked at yet, p50 (worst) | 1.5 s | {spread(fresh)} |")
    print(f"| first chart, a selection seen before, p50 (worst) | 1.5 s | {spread(again)} |")
    print(f"| processor time of a warm rerun | 150 ms | {1000 * cpu:.0f} ms |")
    print(
        "\nA new tab each, the scripts from the browser's cache but where said; browser and server share the cores. "
        f"Load average {os.getloadavg()[0]:.1f}."
    )


def spread(seconds: list[float]) -> str:
    return f"{np.median(seconds):.2f} s ({max(seconds):.2f} s)"


if __name__ == "__main__":
    sys.exit(main())
