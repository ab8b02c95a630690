"""What the Forecasts page costs: seconds until the first chart in a real browser, processor time of a warm rerun.

    python benchmarks/pages.py                                # 500 categories x 5 regions x 2 years
    python benchmarks/pages.py --categories 24 --regions 4    # the demo retailer

Needs Debian's chromium. A generated, published retailer in a database of its own in a temporary folder; the server as
users run it, without its job worker. Prints a table in markdown.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import psutil

from benchmarks import _retailer as retailer

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
CHART = '[data-testid="stPlotlyChart"] .main-svg'


def main() -> int:
    args = retailer.arguments("Time the Forecasts page.", years=2)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        print("Skipped: chromium is not installed (apt-get install chromium).")
        return 0
    with retailer.published(args) as shop:
        names = sorted({row["product_category"] for row in shop.db.rows("series_all")} - {""})[:12]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        server = subprocess.Popen(
            [sys.executable, *f"-m streamlit run streamlit_app.py --server.headless=true --server.port={port}".split()],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            measure(chromium, f"http://localhost:{port}", psutil.Process(server.pid), names)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(40)
    return 0


def measure(chromium: str, site: str, server: psutil.Process, names: list[str]) -> None:
    from playwright.sync_api import sync_playwright

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

    with sync_playwright() as playwright:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", int(site.rsplit(":", 1)[1]))) == 0:
                    break
            time.sleep(0.1)
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
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
        browser.close()
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
