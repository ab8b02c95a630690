"""Jobs for the tests, done in real child processes."""

from __future__ import annotations

import ctypes
import logging
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from trendcast.errors import NotFound
from trendcast.services.progress import Progress
from trendcast.services.runtime import Clock
from trendcast.store import jobs
from trendcast.store.engine import Database


def count(db: Database, clock: Clock, progress: Progress, token: str, *, to: int = 3) -> dict[str, Any]:
    """Report ``to`` steps and return the sum; prints, as libraries do."""
    print("a library talks on stdout")
    for number in range(to + 1):
        progress("Counting", number, to, rows=number)
    progress("Resting", 1, 1)
    return {"sum": sum(range(to + 1)), "aware": clock().tzinfo is not None}


def refuse(db: Database, clock: Clock, progress: Progress, token: str) -> dict[str, Any]:
    raise NotFound("There is no region 'Nort'.", ("North",))


def stumble(db: Database, clock: Clock, progress: Progress, token: str) -> dict[str, Any]:
    raise ZeroDivisionError("by design")


def blab(db: Database, clock: Clock, progress: Progress, token: str) -> dict[str, Any]:
    raise RuntimeError("no answer from postgresql://ann:the-first-word@db/shop with the-second-word")


def speak(db: Database, clock: Clock, progress: Progress, token: str) -> dict[str, Any]:
    """Say something of each gravity, and print as libraries do."""
    log = logging.getLogger("trendcast.somewhere")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        log.log(level, "said at %d", level)
    print("<just a> print")
    return {}


def crash(db: Database, clock: Clock, progress: Progress, token: str) -> dict[str, Any]:
    ctypes.string_at(0)
    return {}


def vanish(db: Database, clock: Clock, progress: Progress, token: str) -> dict[str, Any]:
    os.kill(os.getpid(), 9)
    return {}


def swell(db: Database, clock: Clock, progress: Progress, token: str) -> dict[str, Any]:
    """Take 50 MB twenty times a second."""
    held = []
    for _ in range(100):
        held.append(b"x" * 50_000_000)
        time.sleep(0.05)
    return {}


def dwell(db: Database, clock: Clock, progress: Progress, token: str, *, marks: str) -> dict[str, Any]:
    """Start a helper process, write both numbers down, and stay for a minute; then publish if the token still holds."""
    helper = subprocess.Popen(["sleep", "60"])
    Path(marks).write_text(f"{os.getpid()} {helper.pid}")
    progress("Dwelling", 0, 1)
    helper.wait()
    with db.transaction() as connection:
        jobs.assert_token(db, connection, token)
    return {}
