"""The REST service alone, in a process of its own, against its own description: no server error, nothing
undocumented."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from trendcast.store.engine import Database

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def address(clone_demo: Callable[[str], Database], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``uvicorn trendcast.api.app:app`` on the demo retailer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("home")
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "trendcast.api.app:app", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "TRENDCAST_HOME": str(home), "DATABASE_URL": clone_demo("fuzz").url},
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


def test_whatever_is_sent_the_answers_are_documented(address: str, tmp_path: Path) -> None:
    pytest.importorskip("schemathesis")
    examples = os.environ.get("TRENDCAST_TEST_FUZZ_EXAMPLES", "15")
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", "--checks", "all",
         # A level and names, or two dates, can be valid each and contradict each other: 422 is right then.
         "--exclude-checks", "positive_data_acceptance",
         "--phases", "examples,coverage,fuzzing", "--max-examples", examples, "--workers", "1", "--seed", "1",
         "--generation-database", "none", "--no-color"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
