"""The real server on a small published retailer, and Debian's Chromium in front of it."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.databases import create, publish
from tests.installation import start
from trendcast.store import embedded
from trendcast.store.engine import Database

LAST_DAY = date(2026, 9, 30)
COMMA = "HB,NI"
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


def _chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if _chromium() is None:
                item.add_marker(pytest.mark.skip(reason="needs Debian's chromium: apt-get install chromium"))


@pytest.fixture(scope="session")
def shop(server: embedded.Server, template: str) -> Iterator[Database]:
    """A published retailer of three categories in two regions, one of which has a comma in its name."""
    from trendcast.demo import generate

    database = create(server, "tc_browser", template)
    frames = generate(3, 2, 0, 3, LAST_DAY)
    first = sorted(frames["sales_daily"]["region"].unique())[0]
    frames = {
        name: frame.assign(region=frame["region"].astype(str).replace(first, COMMA)) if "region" in frame else frame
        for name, frame in frames.items()
    }
    publish(database, frames)
    yield database
    database.close()


@pytest.fixture(scope="session")
def site(shop: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running dashboard."""
    one = start(tmp_path_factory.mktemp("home"), DATABASE_URL=shop.url).ready()
    yield one.url
    one.stop()


# Closed with the last browser test: while Playwright's loop runs in this thread, no other test can run one of its own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
        yield browser
        browser.close()


class Visitor:
    """A fresh browser on the dashboard. ``troubles``: console errors, failed and foreign requests, dialogs."""

    def __init__(self, browser: Any, site: str, **context: Any) -> None:
        self.site, self.troubles = site, []
        self.page = browser.new_context(accept_downloads=True, **context).new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.troubles.append("dialog"), dialog.dismiss()))
        self.page.on("request", self._check)

    def _hear(self, message: Any) -> None:
        # Below a page's path Streamlit first looks for its own files there, and falls back to the root.
        probe = re.search(r"/[^/]+/_stcore/(health|host-config)$", (message.location or {}).get("url", ""))
        if message.type == "error" and not probe:
            self.troubles.append(message.text)

    def _check(self, request: Any) -> None:
        if not request.url.startswith((self.site, "data:", "blob:")):
            self.troubles.append(f"foreign request: {request.url}")

    def open(self, path: str = "") -> Any:
        self.page.goto(f"{self.site}/{path}")
        return self.settle()

    def settle(self) -> Any:
        """Wait until the script has been idle for a moment; the page."""
        still = None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            busy = not self.page.locator(IDLE).count() or self.page.locator('[data-testid="stSkeleton"]').count()
            if busy:
                still = None
            elif still is None:
                still = time.monotonic()
            elif time.monotonic() - still > 0.4:
                return self.page
            self.page.wait_for_timeout(50)
        raise AssertionError("The page does not come to rest.")

    def choose(self, key: str, *names: str) -> None:
        """Pick names in a filter as a person does: open, type, take."""
        box = self.page.locator(f".st-key-filter_{key}")
        for name in names:
            box.locator("input").first.click()
            box.locator("input").first.fill(name)
            self.page.get_by_role("option", name=name, exact=True).first.click()
            self.settle()
        self.page.keyboard.press("Escape")


@pytest.fixture
def visit(chromium: Any, site: str) -> Iterator[Callable[..., Visitor]]:
    """``visit(**context)``: a fresh browser context; it must end without trouble."""
    visitors: list[Visitor] = []

    def fresh(**context: Any) -> Visitor:
        visitors.append(Visitor(chromium, site, **{"viewport": {"width": 1440, "height": 1000}} | context))
        return visitors[-1]

    yield fresh
    for visitor in visitors:
        assert not visitor.troubles
        visitor.page.context.close()
