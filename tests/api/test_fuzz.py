"""The REST service alone, in a process of its own, against its own description: no server error, nothing
undocumented."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.waiting import free_port
from trendcast.store.engine import Database

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def own(clone_demo: Callable[[str], Database]) -> Database:
    """The demo retailer as if the data were one's own: a row that is pushed does not replace all of it."""
    from trendcast.services import detect
    from trendcast.services.runtime import clock

    database = clone_demo("fuzz")
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE load_batch SET source = 'own'")
    detect.detect(database, clock, lambda *_, **__: None, None)
    return database


@pytest.fixture(scope="module")
def address(own: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``uvicorn trendcast.api.app:app`` on the demo retailer."""
    port = free_port()
    home = tmp_path_factory.mktemp("home")
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "trendcast.api.app:app", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "TRENDCAST_HOME": str(home), "DATABASE_URL": own.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                break
        except httpx.TransportError:
            time.sleep(0.2)
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
    yield url
    process.terminate()
    printed = process.communicate(timeout=30)[0]
    assert "Unforeseen error" not in printed, printed


def test_rest_needs_neither_streamlit_nor_the_modelling_libraries() -> None:
    code = (
        "import sys, trendcast.api.app; print([m for m in ('streamlit', 'prophet', 'statsmodels') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def fuzz(address: str, folder: Path, *arguments: str, seconds: float) -> None:
    pytest.importorskip("schemathesis")
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", "--checks", "all",
         # A level and names, or two dates, can be valid each and contradict each other: 422 is right then.
         "--exclude-checks", "positive_data_acceptance",
         "--seed", "1", "--generation-database", "none", "--no-color", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_whatever_is_sent_the_answers_are_documented(address: str, tmp_path: Path) -> None:
    examples = os.environ.get("TRENDCAST_TEST_FUZZ_EXAMPLES", "5")
    phases = ("--phases", "examples,coverage,fuzzing", "--max-examples", examples, "--workers", "1")
    fuzz(address, tmp_path, *phases, seconds=300)


@pytest.mark.nightly(minutes=60)
def test_whatever_is_sent_for_long_and_in_any_order(address: str, tmp_path: Path) -> None:
    phases = ("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "200", "--workers", "2")
    fuzz(address, tmp_path, *phases, "--report", "junit", seconds=3500)
