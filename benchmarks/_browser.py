"""The dashboard as people run it, and a real browser in front of it, for the measurements that need both."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.installation import start

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'


def program() -> str | None:
    """Debian's chromium, or the one that CHROMIUM names; None when there is none, or nothing to drive it."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return None
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


@contextmanager
def dashboard() -> Iterator[tuple[str, int]]:
    """A server of its own on the environment's database: its address, once it answers, and its process id."""
    live = start(Path(os.environ["TRENDCAST_HOME"])).ready()
    try:
        yield live.url, live.process.pid
    finally:
        live.stop()


@contextmanager
def browser(chromium: str) -> Iterator[Any]:
    """A browser without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield one
        one.close()
