"""Work in a process of its own that is killed on its way: SIGKILL, no clean-up, as when the power goes."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from trendcast.services.load import load_directory
from trendcast.services.progress import silent
from trendcast.services.refresh import refresh as compute
from trendcast.store.engine import Database

MEMBERS = ("naive7", "naive364")  # a forecast in a second
PATIENCE = 120.0  # seconds until a new interpreter has imported what it needs, beside other tests

# Processes are forked from one that has everything imported and nothing open: one starts in a moment.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.reliability.mortal", "trendcast.forecasting.forecaster",
                                 "trendcast.forecasting.backtest"])  # fmt: skip


def load(begun: Any, url: str, folder: str) -> None:
    """`load FOLDER`."""
    database = Database(url, role="worker")
    begun.set()
    load_directory(database, Path(folder), accept=True)
    database.close()


def refresh(begun: Any, url: str, token: str) -> None:
    """A refresh under a lease, with the quickest members."""
    database = Database(url, role="worker")
    begun.set()
    compute(database, lambda: dt.datetime.now(dt.UTC), silent, token, members=MEMBERS)
    database.close()


def perform(work: Callable[..., None], *arguments: str, killed_after: float | None = None) -> bool:
    """Do the work in a process of its own, killed so many seconds after it begun; whether it came to its end."""
    begun = _context.Event()
    process = _context.Process(target=work, args=(begun, *arguments), daemon=True)
    # A page that was tested in this process has left its script as the main module, which a child would run again.
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        process.start()
    finally:
        sys.modules["__main__"] = main
    assert begun.wait(PATIENCE), "the process did not begin"
    if killed_after is not None:
        process.join(killed_after)
        process.kill()
    process.join(PATIENCE)
    assert process.exitcode is not None, "the work did not end"
    assert process.exitcode in ((0,) if killed_after is None else (0, -9)), process.exitcode
    finished = process.exitcode == 0
    process.close()
    return finished


def seconds(work: Callable[..., None], *arguments: str) -> float:
    """How long the whole of it takes."""
    started = time.monotonic()
    assert perform(work, *arguments)
    return time.monotonic() - started
