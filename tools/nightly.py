"""The long tests, one after the other, each in a process of its own with a time-out: one that hangs stops no other.

    make nightly
    python tools/nightly.py -k reliability      # what pytest takes

Prints each test before it begins and what became of it, and at the end what failed. A test, with all its parameters,
takes ten minutes at most, or as many as its mark says: ``@pytest.mark.nightly(minutes=30)``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MINUTES = 10.0


class Found:
    """Collects the tests and their time-outs in seconds."""

    def __init__(self) -> None:
        self.tests: dict[str, float] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            mark = item.get_closest_marker("nightly")
            self.tests[item.nodeid.partition("[")[0]] = 60 * float(
                mark.kwargs.get("minutes", MINUTES) if mark else MINUTES
            )


def main(arguments: list[str]) -> int:
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    found = Found()
    code = pytest.main(["--collect-only", "-qq", "--no-summary", "-m", "nightly", *arguments], plugins=[found])
    if code or not found.tests:
        print("No nightly tests were found.", file=sys.stderr)
        return int(code) or 1
    most = sum(found.tests.values()) / 60
    print(f"\n{len(found.tests)} tests, at most {most:.0f} minutes together.", flush=True)
    failed: list[str] = []
    for number, (name, seconds) in enumerate(found.tests.items(), 1):
        print(f"\n== {number} of {len(found.tests)}: {name} (at most {seconds / 60:g} minutes)", flush=True)
        started = time.monotonic()
        outcome = run(name, seconds)
        print(f"== {outcome} after {time.monotonic() - started:.0f} s", flush=True)
        if outcome != "passed":
            failed.append(f"{outcome}: {name}")
    print(f"\n{len(found.tests) - len(failed)} of {len(found.tests)} passed.", *failed, sep="\n")
    return 1 if failed else 0


def run(name: str, seconds: float) -> str:
    """One test in a process group of its own, which goes with it."""
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-m", "nightly", "-p", "no:cacheprovider", name]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        return "timed out"
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return "passed" if code == 0 else "failed"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
